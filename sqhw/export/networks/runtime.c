struct layer {
    int maximum;                      /* 1: a pooling maximum, 0: a convolution */
    long source, target;              /* first values of the input and output maps in `maps` */
    int channels, height, width;      /* input map */
    int outputs, rows, columns;       /* output map */
    int kernel_h, kernel_w, stride_y, stride_x, top, left, groups;
    long entries;                     /* of `weight` */
    const uint8_t *gap;               /* zeros before each entry, or NULL: none */
    const int8_t *weight;             /* by output channel, input channel, row, column */
    const int32_t *bias;
    const uint16_t *multiplier;
    const uint8_t *shift;
    int lowest, highest;              /* range of the output, or of the index of its table */
    const int16_t *table;             /* outputs from index -128 on, or NULL: none */
    int skip_weight;                  /* 0: no skip connection */
    long skip;                        /* first value of its map */
    int skip_channels, skip_height, skip_width, skip_stride, skip_first;
};

/* floor(value / 2**shift); C leaves it open how a negative number is shifted. */
static int64_t shifted(int64_t value, int shift)
{
    return value >= 0 ? value >> shift : ~(~value >> shift);
}

static int16_t requantized(const struct layer *l, int channel, sum_t sum)
{
    int shift = l->shift[channel];
    int64_t half = shift > 0 ? (int64_t)1 << (shift - 1) : 0;
    int64_t value = shifted((int64_t)sum * l->multiplier[channel] + half, shift);
    value = value < l->lowest ? l->lowest : value;
    value = value > l->highest ? l->highest : value;
    return l->table ? l->table[value + 128] : (int16_t)value;
}

/* Output positions [*first, *end) whose input position, stride * x + offset, is in [0, size). */
static void inside(int offset, int stride, int size, int count, int *first, int *end)
{
    int last = size - 1 - offset;
    *first = offset >= 0 ? 0 : (stride - 1 - offset) / stride;
    *end = last < 0 ? 0 : last / stride + 1;
    *end = *end < count ? *end : count;
}

/* Add one weight to the sums of a channel: padding is 0, so only what lies inside counts. */
static void add_weight(const struct layer *l, const int16_t *plane, int ky, int kx, sum_t weight)
{
    int y, x, y0, y1, x0, x1;
    inside(ky - l->top, l->stride_y, l->height, l->rows, &y0, &y1);
    inside(kx - l->left, l->stride_x, l->width, l->columns, &x0, &x1);
    for (y = y0; y < y1; y++) {
        const int16_t *in = plane + (long)(y * l->stride_y + ky - l->top) * l->width;
        sum_t *row = sums + (long)y * l->columns;
        for (x = x0; x < x1; x++) {
            row[x] += weight * in[x * l->stride_x + kx - l->left];
        }
    }
}

static void add_skip(const struct layer *l, int channel)
{
    int y, x, from = channel - l->skip_first;
    const int16_t *plane;
    if (l->skip_weight == 0 || from < 0 || from >= l->skip_channels) {
        return;
    }
    plane = maps + l->skip + (long)from * l->skip_height * l->skip_width;
    for (y = 0; y < l->rows; y++) {
        for (x = 0; x < l->columns; x++) {
            long place = (long)y * l->skip_stride * l->skip_width + (long)x * l->skip_stride;
            sums[(long)y * l->columns + x] += (sum_t)l->skip_weight * plane[place];
        }
    }
}

static void convolution(const struct layer *l)
{
    long size = (long)l->rows * l->columns, kernel = (long)l->kernel_h * l->kernel_w;
    long inputs = l->channels / l->groups, weights = inputs * kernel;
    long entry = 0, place = l->gap ? l->gap[0] : 0, at;
    int channel;
    for (channel = 0; channel < l->outputs; channel++) {
        long base = channel / (l->outputs / l->groups) * inputs;
        int16_t *out = maps + l->target + channel * size;
        for (at = 0; at < size; at++) {
            sums[at] = l->bias[channel];
        }
        while (entry < l->entries && place < (channel + 1) * weights) {
            long inner = place - channel * weights, tap = inner % kernel;
            const int16_t *plane =
                maps + l->source + (base + inner / kernel) * l->height * l->width;
            if (l->weight[entry] != 0) {
                add_weight(l, plane, (int)(tap / l->kernel_w), (int)(tap % l->kernel_w),
                           l->weight[entry]);
            }
            entry++;
            place++;
            if (l->gap && entry < l->entries) {
                place += l->gap[entry];
            }
        }
        add_skip(l, channel);
        for (at = 0; at < size; at++) {
            out[at] = requantized(l, channel, sums[at]);
        }
    }
}

static void maximum(const struct layer *l)
{
    int channel, y, x, ky, kx;
    for (channel = 0; channel < l->outputs; channel++) {
        const int16_t *plane = maps + l->source + (long)channel * l->height * l->width;
        int16_t *out = maps + l->target + (long)channel * l->rows * l->columns;
        for (y = 0; y < l->rows; y++) {
            for (x = 0; x < l->columns; x++) {
                int16_t most = INT16_MIN;
                for (ky = 0; ky < l->kernel_h; ky++) {
                    for (kx = 0; kx < l->kernel_w; kx++) {
                        int row = y * l->stride_y + ky - l->top;
                        int column = x * l->stride_x + kx - l->left;
                        if (row >= 0 && row < l->height && column >= 0 && column < l->width) {
                            int16_t value = plane[(long)row * l->width + column];
                            most = value > most ? value : most;
                        }
                    }
                }
                out[(long)y * l->columns + x] = most;
            }
        }
    }
}
