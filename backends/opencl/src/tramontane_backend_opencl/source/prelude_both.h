/* What both dialects have alike, on the words of their preludes. */
#define T_5 int
#define T_6 long
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define T(kind) PASTE(T_, kind)
#define GET(kind, p, i) PASTE(GET_, kind)(p, i)
#define WIDE_AT(kind, p, i) PASTE(WIDE_, kind)(p, i)
#define PUT(kind, p, i, v) PASTE(PUT_, kind)(p, i, v)

/* float32 to bfloat16, to nearest, ties to even */
inline ushort rounded_bits(float number) {
    const uint bits = FLOAT_AS_BITS(number);
    if (number != number) return (ushort)((bits >> 16) | 64u);
    return (ushort)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* A float as it is after it was stored. */
#define ROUNDED_0(v) (v)
#define ROUNDED_2(v) BITS_AS_FLOAT(rounded_bits(v))
#define ROUNDED(kind, v) PASTE(ROUNDED_, kind)(v)

/* The sum of a work group's numbers, in an order that only LANES decides; in all lanes. */
#if LANES == 1
#define GROUP_SUM(value, sums) (value)
#define GROUP_MAX(value, sums) (value)
#else
inline float group_sum(float value, SHARED float *sums, int lane) {
    sums[lane] = value;
    BARRIER;
    for (int half_way = LANES / 2; half_way > 0; half_way /= 2) {
        if (lane < half_way) sums[lane] += sums[lane + half_way];
        BARRIER;
    }
    const float total = sums[0];
    BARRIER;
    return total;
}
inline float group_max(float value, SHARED float *sums, int lane) {
    sums[lane] = value;
    BARRIER;
    for (int half_way = LANES / 2; half_way > 0; half_way /= 2) {
        if (lane < half_way) sums[lane] = fmax(sums[lane], sums[lane + half_way]);
        BARRIER;
    }
    const float most = sums[0];
    BARRIER;
    return most;
}
#define GROUP_SUM(value, sums) group_sum(value, sums, LANE)
#define GROUP_MAX(value, sums) group_max(value, sums, LANE)
#endif
