#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: unzimage.py BZIMAGE VMLINUX

Write the ELF image that is packed in an x86 bzImage. The setup header says where the
payload is (Documentation/x86/boot.rst: setup_sects, payload_offset, payload_length).
"""
import lzma
import struct
import subprocess
import sys
import zlib


def unpack(data):
    if data.startswith(b'\xfd7zXZ\0'):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data)
    if data.startswith(b'\x1f\x8b'):
        return zlib.decompressobj(31).decompress(data)
    if data.startswith(b'\x5d\0\0'):
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(data)
    if data.startswith(b'\x28\xb5\x2f\xfd'):
        # four bytes of size follow the frame: zstd complains about them after the data
        return subprocess.run(['zstd', '-dc'], input=data[:-4], stdout=subprocess.PIPE, check=True).stdout
    raise SystemExit('unzimage: unknown compression %s' % data[:6].hex())


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ('-h', '--help'):
        print(__doc__.strip())
        return 0 if sys.argv[1:2] in (['-h'], ['--help']) else 2
    with open(sys.argv[1], 'rb') as f:
        image = f.read()
    if image[0x202:0x206] != b'HdrS':
        raise SystemExit('unzimage: %s is no bzImage' % sys.argv[1])
    setup_sects = image[0x1f1] or 4
    offset, length = struct.unpack_from('<II', image, 0x248)
    start = (setup_sects + 1) * 512 + offset
    elf = unpack(image[start:start + length])
    if elf[:4] != b'\x7fELF':
        raise SystemExit('unzimage: the payload is no ELF image')
    with open(sys.argv[2], 'wb') as f:
        f.write(elf)
    return 0


if __name__ == '__main__':
    sys.exit(main())
