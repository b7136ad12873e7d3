/* The words of `*.inc` in OpenCL C 1.2. What is `wide` are 16 floats, `codes` 16 bytes. */
#pragma OPENCL FP_CONTRACT OFF
#define GLOBAL __global
#define KERNEL __kernel
#define IN(type, name, index) __global const type *name##_base, const long name##_at,
#define OUT(type, name, index) __global type *name##_base, const long name##_at,
#define INT(name, index) const int name,
#define FLOAT(name, index) const float name,
#define LAST(name, index) const int name
#define LAST_FLOAT(name, index) const float name
#define WHERE
#define USE_IN(type, name) __global const type *name = name##_base + name##_at
#define USE_OUT(type, name) __global type *name = name##_base + name##_at
#define SHARED __local
#define GROUP_X (int)get_group_id(0)
#define GROUP_Y (int)get_group_id(1)
#define GROUP_Z (int)get_group_id(2)
#define LANE (int)get_local_id(0)
#define BARRIER barrier(CLK_LOCAL_MEM_FENCE)
#define FUSED(a, b, c) fused_wide(a, b, c)
#define FUSED_ONE(a, b, c) fused_one(a, b, c)
#define BITS_AS_FLOAT(bits) as_float((uint)(bits) << 16)
#define FLOAT_AS_BITS(number) as_uint(number)

/* Two halves: a float16 that is given to a function loses one on PoCL 3.0, and its fma ends the process. */
typedef struct { float8 lo, hi; } wide;
typedef uchar16 codes;
inline wide both(float8 lo, float8 hi) {
    wide out;
    out.lo = lo;
    out.hi = hi;
    return out;
}
inline float sum_wide(wide v) {
    const float8 a = v.lo + v.hi;
    const float4 b = a.lo + a.hi;
    const float2 c = b.lo + b.hi;
    return c.x + c.y;
}
#if LANES == 1
/* a processor: PoCL calls its fma, vload8 and the like as functions, for a few numbers at a time; these
   become instructions. Every product is merged with its sum in one way, by one expression. */
inline float8 fused_half(float8 a, float8 b, float8 c) {
#pragma OPENCL FP_CONTRACT ON
    return a * b + c;
}
inline float fused_one(float a, float b, float c) {
#pragma OPENCL FP_CONTRACT ON
    return a * b + c;
}
typedef struct __attribute__((packed, aligned(4))) { float8 v; } loose_floats;
typedef struct __attribute__((packed, aligned(2))) { ushort8 v; } loose_shorts;
typedef struct __attribute__((packed, aligned(1))) { uchar8 v; } loose_bytes;
typedef struct __attribute__((packed, aligned(1))) { uchar16 v; } loose_codes;
#define FLOATS8(p) (((GLOBAL const loose_floats *)(p))->v)
#define SHORTS8(p) (((GLOBAL const loose_shorts *)(p))->v)
#define BYTES8(p) (((GLOBAL const loose_bytes *)(p))->v)
#define CODES16(p) (((GLOBAL const loose_codes *)(p))->v)
#define OWN8(p) (((const loose_floats *)(p))->v)
#define PUT8(number, p) ((loose_floats *)(p))->v = (number)
inline float8 halves_as_floats(ushort8 bits) {
    const uint8 told = convert_uint8(bits), low = (told & (uint8)(0x7fff)) << (uint8)(13);
    const uint8 number = as_uint8(as_float8(low) * (float8)(0x1p112f));
    const int8 odd = (told & (uint8)(0x7c00)) == (uint8)(0x7c00);
    const uint8 made = (as_uint8(odd) & (low | (uint8)(0x7f800000u))) | (as_uint8(~odd) & number);
    return as_float8(made | ((told & (uint8)(0x8000)) << (uint8)(16)));
}
inline float half_as_float(ushort bits) {
    const uint low = (uint)(bits & 0x7fff) << 13;
    const uint number = (bits & 0x7c00) == 0x7c00 ? low | 0x7f800000u : as_uint(as_float(low) * 0x1p112f);
    return as_float(number | (uint)(bits & 0x8000) << 16);
}
#define HALVES8(p) halves_as_floats(SHORTS8(p))
#define HALF_AT(p, i) half_as_float(((GLOBAL const ushort *)(p))[i])
#else
inline float8 fused_half(float8 a, float8 b, float8 c) { return fma(a, b, c); }
inline float fused_one(float a, float b, float c) { return fma(a, b, c); }
#define FLOATS8(p) vload8(0, p)
#define SHORTS8(p) vload8(0, p)
#define BYTES8(p) vload8(0, p)
#define CODES16(p) vload16(0, p)
#define OWN8(p) vload8(0, p)
#define PUT8(number, p) vstore8(number, 0, p)
#define HALVES8(p) vload_half8(0, p)
#define HALF_AT(p, i) vload_half(i, p)
#endif
inline wide fused_wide(wide a, wide b, wide c) {
    return both(fused_half(a.lo, b.lo, c.lo), fused_half(a.hi, b.hi, c.hi));
}
inline wide times(wide a, wide b) { return both(a.lo * b.lo, a.hi * b.hi); }
inline wide plus(wide a, wide b) { return both(a.lo + b.lo, a.hi + b.hi); }
inline wide less(wide a, wide b) { return both(a.lo - b.lo, a.hi - b.hi); }
#define WIDE(number) both((float8)(number), (float8)(number))
#define TIMES(a, b) times(a, b)
#define PLUS(a, b) plus(a, b)
#define LESS(a, b) less(a, b)
#define SUM_WIDE(v) sum_wide(v)
#define FROM_ARRAY(array) both(OWN8(array), OWN8((array) + 8))
inline void to_array(wide v, float *array) {
    PUT8(v.lo, array);
    PUT8(v.hi, array + 8);
}
#define TO_ARRAY(v, array) to_array(v, array)

/* numbers as they are stored: 0 float32, 1 float16, 2 bfloat16, 3 uint8, 4 int8 */
#define T_0 float
#define T_1 half
#define T_2 ushort
#define T_3 uchar
#define T_4 char
#define GET_0(p, i) (p)[i]
#define GET_1(p, i) HALF_AT(p, i)
#define GET_2(p, i) BITS_AS_FLOAT((p)[i])
#define GET_3(p, i) (float)(p)[i]
#define GET_4(p, i) (float)(p)[i]
#define HALVES(load, p, i) both(load((p) + (i)), load((p) + (i) + 8))
#define BRAINS8(p) as_float8(convert_uint8(SHORTS8(p)) << (uint8)(16))
#define UNSIGNED8(p) convert_float8(BYTES8(p))
#define SIGNED8(p) convert_float8(as_char8(BYTES8(p)))
#define WIDE_0(p, i) HALVES(FLOATS8, p, i)
#define WIDE_1(p, i) HALVES(HALVES8, p, i)
#define WIDE_2(p, i) HALVES(BRAINS8, p, i)
#define WIDE_3(p, i) HALVES(UNSIGNED8, p, i)
#define WIDE_4(p, i) HALVES(SIGNED8, p, i)
#define PUT_0(p, i, v) (p)[i] = (v)
#define PUT_1(p, i, v) vstore_half_rte(v, i, p)
#define PUT_2(p, i, v) (p)[i] = rounded_bits(v)

inline float rounded_half(float number) {
    ushort held[1];
    vstore_half_rte(number, 0, (half *)held);
    return vload_half(0, (half *)held);
}
#define ROUNDED_1(v) rounded_half(v)

/* 16 codes of planes of 8, 4, 2 and 1 bits; the first column has the lowest bits of a byte */
inline codes plane_8(GLOBAL const uchar *p) { return CODES16(p); }
inline codes plane_4(GLOBAL const uchar *p) {
    const uchar8 bytes = BYTES8(p);
    codes out;
    out.even = bytes & (uchar8)(15);
    out.odd = bytes >> (uchar8)(4);
    return out;
}
inline codes plane_2(GLOBAL const uchar *p) {
    const uchar4 bytes = vload4(0, p);
    codes out;
    uchar8 even, odd;
    even.even = bytes & (uchar4)(3);
    even.odd = (bytes >> (uchar4)(4)) & (uchar4)(3);
    odd.even = (bytes >> (uchar4)(2)) & (uchar4)(3);
    odd.odd = bytes >> (uchar4)(6);
    out.even = even;
    out.odd = odd;
    return out;
}
inline codes plane_1(GLOBAL const uchar *p) {
    const uchar16 bits = (uchar16)(1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128);
    const uchar16 bytes = (uchar16)((uchar8)(p[0]), (uchar8)(p[1]));
    return as_uchar16((bytes & bits) != (uchar16)(0)) & (uchar16)(1);
}
#define JOIN_CODES(low, high, shift) ((low) | ((high) << (uchar16)(shift)))
inline wide codes_wide(codes c) { return both(convert_float8(c.lo), convert_float8(c.hi)); }
inline wide codes_less(codes c, uchar zero) {
    const char16 less = as_char16(c - (uchar16)(zero));
    return both(convert_float8(less.lo), convert_float8(less.hi));
}
#define CODES_WIDE(c) codes_wide(c)
#define CODES_LESS(c, zero) codes_less(c, zero)
#define CODES_ARRAY(c, array) vstore16(c, 0, array)
