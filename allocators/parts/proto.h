/*
 * proto.h - the wire format of protocol buffers, as much as profiles need
 *
 *     field, number --> | field << 3 | 0 | varint |
 *     field, bytes  --> | field << 3 | 2 | size varint | bytes |
 *
 * A message inside another is put together first, since its size stands before
 * it. A file goes straight to its gzip.
 *
 * Concurrency: a struct proto belongs to one thread.
 * Failure: that of the gzip, seen at its end. A message has room for
 * PROTO_MESSAGE_MAX bytes; its caller sees to that.
 * Design: protobuf.dev, "Encoding".
 */
#pragma once

#include "base/output.h"

#define PROTO_MESSAGE_MAX 1024

struct proto {
    struct gzip *file; /* NULL: a message, in bytes */
    size_t used_size;
    uint8_t bytes[PROTO_MESSAGE_MAX];
};

void proto_init_message(struct proto *proto);
void proto_init_file(struct proto *proto, struct gzip *file);

void proto_number(struct proto *proto, unsigned field, uint64_t value);
void proto_text(struct proto *proto, unsigned field, const char *text);
void proto_message(
    struct proto *proto, unsigned field, const struct proto *message);
