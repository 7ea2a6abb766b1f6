/* Counts values between cuts: the loop of fairlead.stats.tally in one pass over memory.
 *
 * Every result is a whole number and equals that of the array code to the last bit: the place of a value is computed
 * with the same operations in the same order, so this must be built without contraction of a * b + c.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 2048
#define FLUSH 65536 /* rows after which 64-bit sums of places below 2^45 must be carried on */
#define BESIDE 0x8000u
#define MAGIC 6755399441055744.0 /* 1.5 * 2^52: added and taken off, it rounds to a whole number */
#define EXACT 4503599627370496.0 /* 2^52 */
#define FARTHEST 35184372088832.0 /* 2^45 places: the caller takes the array code for what lies beyond */

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EACH_PROCESSOR
#endif

typedef struct {
    double origin, unit;
    int64_t base, shift, buckets, cells;
    const uint16_t *table; /* the cell of a bucket, with BESIDE where cuts share it */
    const uint16_t *whole; /* the table for whole numbers alone, or null */
    const double *cuts;    /* rising, the last one infinite */
} lookup;

typedef struct {
    int64_t rows, sum;
} cell;

/* The finite values of a block, with their ends; the others are counted. */
static int64_t finite_of(const double *values, int64_t size, double *kept, double *ends, int64_t *infinite)
{
    int64_t found = 0;
    for (int64_t i = 0; i < size; i++) {
        double v = values[i];
        if (v - v == 0.0) {
            kept[found++] = v;
            ends[0] = v < ends[0] ? v : ends[0];
            ends[1] = v > ends[1] ? v : ends[1];
        } else {
            infinite[0] += v < 0;
            infinite[1] += v > 0;
        }
    }
    return found;
}

/* Places and buckets of a block of finite values. */
EACH_PROCESSOR static void locate(const lookup *at, const double *x, int64_t size, double *places, int32_t *keys)
{
    double origin = at->origin, unit = at->unit;
    int64_t base = at->base, shift = at->shift, last = at->buckets - 1;
    for (int64_t i = 0; i < size; i++) {
        double place = (x[i] - origin) * unit + MAGIC;
        places[i] = place - MAGIC;
    }
    for (int64_t i = 0; i < size; i++) {
        int64_t key = ((int64_t)places[i] - base) >> shift;
        key = key < 0 ? 0 : key;
        keys[i] = (int32_t)(key < last ? key : last);
    }
}

/* The ends of a block, and whether all of it is whole numbers. Returns whether all of it is finite. */
EACH_PROCESSOR static int survey(const double *x, int64_t size, double *ends, int *whole)
{
    double least = x[0], most = x[0];
    int64_t parted = 0, wild = 0;
    for (int64_t i = 0; i < size; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    for (int64_t i = 0; i < size; i++) {
        parted += (x[i] + MAGIC) - MAGIC != x[i];
        wild += x[i] - x[i] != 0.0;
    }
    ends[0] = least;
    ends[1] = most;
    *whole = !parted && fabs(least) < EXACT && fabs(most) < EXACT;
    return !wild;
}

/* Adds `rows` values to one batch. `counts`, `high` and `low` have a number for each cell, high 2^31 + low being the sum
 * of places; `squares` two 64-bit halves, low first; `ends` the smallest and largest finite value so far (infinities for
 * none); `infinite` the numbers of negative and positive infinities. Returns how many values were taken: fewer than
 * `rows` where the next block holds a value beyond FARTHEST places. */
static int64_t count_batch(const lookup *at, const double *values, int64_t rows, int64_t *counts, int64_t *high,
                           int64_t *low, uint64_t *squares, double *ends, int64_t *infinite)
{
    cell cells[at->cells];
    unsigned __int128 square = ((unsigned __int128)squares[1] << 64) | squares[0];
    double kept[BLOCK], places[BLOCK];
    int32_t keys[BLOCK];
    uint16_t which[BLOCK], rare[BLOCK + 1];
    int64_t done = 0;
    memset(cells, 0, sizeof cells);
    while (done < rows) {
        int64_t taken = rows - done < BLOCK ? rows - done : BLOCK, size = taken, odd[2] = {0, 0};
        const double *x = values + done;
        double edge[2];
        int whole;
        if (!survey(x, size, edge, &whole)) {
            edge[0] = INFINITY, edge[1] = -INFINITY, whole = 0;
            size = finite_of(x, taken, kept, edge, odd);
            x = kept;
        }
        if (size && !(fabs(edge[0] - at->origin) * at->unit < FARTHEST && fabs(edge[1] - at->origin) * at->unit < FARTHEST))
            break;
        locate(at, x, size, places, keys);
        if (whole && at->whole) {
            const uint16_t *table = at->whole;
            for (int64_t i = 0; i < size; i++) {
                cell *here = cells + table[keys[i]];
                int64_t place = (int64_t)places[i];
                here->rows++;
                here->sum += place;
                square += (unsigned __int128)((__int128)place * place);
            }
        } else {
            const uint16_t *table = at->table;
            const double *cuts = at->cuts;
            int64_t beside = 0;
            for (int64_t i = 0; i < size; i++) {
                uint16_t found = table[keys[i]];
                which[i] = found & (BESIDE - 1);
                rare[beside] = (uint16_t)i;
                beside += found >> 15;
            }
            for (int64_t j = 0; j < beside; j++) { /* a cut shares the bucket, an atom's two, seldom more */
                int64_t i = rare[j];
                uint16_t cell = which[i];
                cell += x[i] > cuts[cell];
                cell += x[i] > cuts[cell];
                while (x[i] > cuts[cell])
                    cell++;
                which[i] = cell;
            }
            for (int64_t i = 0; i < size; i++) {
                cell *here = cells + which[i];
                int64_t place = (int64_t)places[i];
                here->rows++;
                here->sum += place;
                square += (unsigned __int128)((__int128)place * place);
            }
        }
        ends[0] = edge[0] < ends[0] ? edge[0] : ends[0];
        ends[1] = edge[1] > ends[1] ? edge[1] : ends[1];
        infinite[0] += odd[0];
        infinite[1] += odd[1];
        done += taken;
        if (done % FLUSH == 0)
            for (int64_t i = 0; i < at->cells; i++) {
                high[i] += cells[i].sum >> 31;
                low[i] += cells[i].sum & 0x7fffffff;
                cells[i].sum = 0;
            }
    }
    for (int64_t i = 0; i < at->cells; i++) {
        counts[i] += cells[i].rows;
        high[i] += cells[i].sum >> 31;
        low[i] += cells[i].sum & 0x7fffffff;
    }
    squares[0] = (uint64_t)square;
    squares[1] = (uint64_t)(square >> 64);
    return done;
}

/* Counts batches that start at the rising `edges` (batches + 1 of them); arrays as above, one row a batch. `taken` is
 * how many values of each batch were counted. */
void fairlead_count(const lookup *at, const double *values, const int64_t *edges, int64_t batches, int64_t *counts,
                    int64_t *high, int64_t *low, uint64_t *squares, double *ends, int64_t *infinite, int64_t *taken)
{
    for (int64_t b = 0; b < batches; b++) {
        int64_t first = b * at->cells;
        taken[b] = count_batch(at, values + edges[b], edges[b + 1] - edges[b], counts + first, high + first, low + first,
                               squares + 2 * b, ends + 2 * b, infinite + 2 * b);
    }
}
