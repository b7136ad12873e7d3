/* The words of `*.inc` in the Metal Shading Language. What is `wide` are 16 floats, `codes` 16 bytes. */
#include <metal_stdlib>
using namespace metal;
#pragma clang fp contract(off)
#define GLOBAL device
#define KERNEL kernel
#define IN(type, name, index) device const type *name [[buffer(index)]],
#define OUT(type, name, index) device type *name [[buffer(index)]],
#define INT(name, index) constant int &name [[buffer(index)]],
#define FLOAT(name, index) constant float &name [[buffer(index)]],
#define LAST(name, index) constant int &name [[buffer(index)]]
#define LAST_FLOAT(name, index) constant float &name [[buffer(index)]]
#define WHERE , uint3 group_id [[threadgroup_position_in_grid]], uint3 local_id [[thread_position_in_threadgroup]]
#define USE_IN(type, name) (void)name
#define USE_OUT(type, name) (void)name
#define SHARED threadgroup
#define GROUP_X (int)group_id.x
#define GROUP_Y (int)group_id.y
#define GROUP_Z (int)group_id.z
#define LANE (int)local_id.x
#define BARRIER threadgroup_barrier(mem_flags::mem_threadgroup)
#define FUSED(a, b, c) fused_wide(a, b, c)
#define FUSED_ONE(a, b, c) fma(a, b, c)
#define BITS_AS_FLOAT(bits) as_type<float>((uint)(bits) << 16)
#define FLOAT_AS_BITS(number) as_type<uint>(number)

struct wide { float4 part[4]; };
struct codes { uchar each[16]; };
inline wide all_of(float number) {
    wide out;
    for (int i = 0; i < 4; i++) out.part[i] = float4(number);
    return out;
}
inline wide fused_wide(wide a, wide b, wide c) {
    for (int i = 0; i < 4; i++) c.part[i] = fma(a.part[i], b.part[i], c.part[i]);
    return c;
}
inline wide times(wide a, wide b) {
    for (int i = 0; i < 4; i++) a.part[i] = a.part[i] * b.part[i];
    return a;
}
inline wide plus(wide a, wide b) {
    for (int i = 0; i < 4; i++) a.part[i] = a.part[i] + b.part[i];
    return a;
}
inline wide less_wide(wide a, wide b) {
    for (int i = 0; i < 4; i++) a.part[i] = a.part[i] - b.part[i];
    return a;
}
/* in the order of OpenCL's prelude: halves, quarters, pairs */
inline float sum_wide(wide v) {
    const float4 b = (v.part[0] + v.part[2]) + (v.part[1] + v.part[3]);
    return (b.x + b.z) + (b.y + b.w);
}
inline wide from_array(thread const float *array) {
    wide out;
    for (int i = 0; i < 4; i++)
        out.part[i] = float4(array[4 * i], array[4 * i + 1], array[4 * i + 2], array[4 * i + 3]);
    return out;
}
inline void to_array(wide v, thread float *array) {
    for (int i = 0; i < 4; i++) {
        array[4 * i] = v.part[i].x;
        array[4 * i + 1] = v.part[i].y;
        array[4 * i + 2] = v.part[i].z;
        array[4 * i + 3] = v.part[i].w;
    }
}
#define WIDE(number) all_of(number)
#define TIMES(a, b) times(a, b)
#define PLUS(a, b) plus(a, b)
#define LESS(a, b) less_wide(a, b)
#define SUM_WIDE(v) sum_wide(v)
#define FROM_ARRAY(array) from_array(array)
#define TO_ARRAY(v, array) to_array(v, array)

/* numbers as they are stored: 0 float32, 1 float16, 2 bfloat16, 3 uint8, 4 int8 */
#define T_0 float
#define T_1 half
#define T_2 ushort
#define T_3 uchar
#define T_4 char
#define GET_0(p, i) (p)[i]
#define GET_1(p, i) (float)(p)[i]
#define GET_2(p, i) BITS_AS_FLOAT((p)[i])
#define GET_3(p, i) (float)(p)[i]
#define GET_4(p, i) (float)(p)[i]
#define PUT_0(p, i, v) (p)[i] = (v)
#define PUT_1(p, i, v) (p)[i] = (half)(v)
#define PUT_2(p, i, v) (p)[i] = rounded_bits(v)
#define ROUNDED_1(v) (float)(half)(v)
template <typename Number> inline float as_number(Number number) { return (float)number; }
inline float as_number(ushort bits) { return BITS_AS_FLOAT(bits); }
template <typename Number> inline wide wide_at(device const Number *p, long i) {
    float found[16];
    for (int j = 0; j < 16; j++) found[j] = as_number(p[i + j]);
    return from_array(found);
}
#define WIDE_0(p, i) wide_at(p, i)
#define WIDE_1(p, i) wide_at(p, i)
#define WIDE_2(p, i) wide_at(p, i)
#define WIDE_3(p, i) wide_at(p, i)
#define WIDE_4(p, i) wide_at(p, i)

/* 16 codes of planes of 8, 4, 2 and 1 bits; the first column has the lowest bits of a byte */
inline codes plane_of(device const uchar *p, int width) {
    codes out;
    for (int i = 0; i < 16; i++) out.each[i] = (p[i * width / 8] >> (i * width % 8)) & ((1 << width) - 1);
    return out;
}
#define plane_8(p) plane_of(p, 8)
#define plane_4(p) plane_of(p, 4)
#define plane_2(p) plane_of(p, 2)
#define plane_1(p) plane_of(p, 1)
inline codes join_codes(codes low, codes high, int shift) {
    for (int i = 0; i < 16; i++) low.each[i] |= high.each[i] << shift;
    return low;
}
inline wide codes_less(codes c, int zero) {
    float found[16];
    for (int i = 0; i < 16; i++) found[i] = (float)((int)c.each[i] - zero);
    return from_array(found);
}
inline void codes_array(codes c, thread uchar *array) {
    for (int i = 0; i < 16; i++) array[i] = c.each[i];
}
#define JOIN_CODES(low, high, shift) join_codes(low, high, shift)
#define CODES_WIDE(c) codes_less(c, 0)
#define CODES_LESS(c, zero) codes_less(c, zero)
#define CODES_ARRAY(c, array) codes_array(c, array)

/* Metal has none: 2 / sqrt(pi) exp(-x²) times the sum of 2^n x^(2n + 1) / (1 3 5 ... (2n + 1)), whose terms
   have one sign */
inline float erf(float x) {
    if (fabs(x) > 4.0f) return x > 0.0f ? 1.0f : -1.0f;
    float term = x, sum = x;
    for (int n = 1; n < 64; n++) {
        term *= 2.0f * x * x / (float)(2 * n + 1);
        sum += term;
    }
    return 1.1283791670955126f * exp(-x * x) * sum;
}
