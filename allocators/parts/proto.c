/*
 * proto.c - the wire format of protocol buffers (contract: proto.h)
 */
#include "parts/proto.h"

#include <string.h>

#include "base/check.h"

#define WIRE_VARINT 0u
#define WIRE_BYTES  2u

void
proto_init_message(struct proto *proto)
{
    proto->file = NULL;
    proto->used_size = 0;
}

void
proto_init_file(struct proto *proto, struct gzip *file)
{
    proto->file = file;
}

static void
put(struct proto *proto, const void *bytes, size_t size)
{
    if (proto->file != NULL) {
        gzip_write(proto->file, bytes, size);
        return;
    }
    CHECK(size <= sizeof proto->bytes - proto->used_size);
    memcpy(proto->bytes + proto->used_size, bytes, size);
    proto->used_size += size;
}

/* Seven bits a byte, the low ones first; the last byte has no high bit. */
static void
put_varint(struct proto *proto, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;

    for (; value >= 0x80; value >>= 7) {
        bytes[size++] = (uint8_t)(value | 0x80);
    }
    bytes[size++] = (uint8_t)value;
    put(proto, bytes, size);
}

static void
put_bytes(struct proto *proto, unsigned field, const void *bytes, size_t size)
{
    put_varint(proto, field << 3 | WIRE_BYTES);
    put_varint(proto, size);
    put(proto, bytes, size);
}

void
proto_number(struct proto *proto, unsigned field, uint64_t value)
{
    put_varint(proto, field << 3 | WIRE_VARINT);
    put_varint(proto, value);
}

void
proto_text(struct proto *proto, unsigned field, const char *text)
{
    put_bytes(proto, field, text, strlen(text));
}

void
proto_message(struct proto *proto, unsigned field, const struct proto *message)
{
    put_bytes(proto, field, message->bytes, message->used_size);
}
