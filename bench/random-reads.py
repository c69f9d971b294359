"""Reads 4 KiB at each offset of a file (lines "BLOCK OFFSET") over NBD, DEPTH requests at a time, and writes to REPORT, in
milliseconds, the median of the first reads of each block and of all reads.

usage: random-reads.py URI DEPTH OFFSETS REPORT
"""

import statistics
import sys
import time

import nbd

uri, depth, offsets, report = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
todo = [tuple(map(int, line.split())) for line in open(offsets)]
handle = nbd.NBD()
handle.connect_uri(uri)
cold, every, seen, flying = [], [], set(), {}
while todo or flying:
    while todo and len(flying) < depth:
        block, offset = todo.pop(0)
        buffer = nbd.Buffer(4096)
        begin = time.perf_counter()
        flying[handle.aio_pread(buffer, offset)] = (begin, block not in seen, buffer)
        seen.add(block)
    handle.poll(-1)
    for cookie in [cookie for cookie in flying if handle.aio_command_completed(cookie)]:
        begin, first, _ = flying.pop(cookie)
        took = (time.perf_counter() - begin) * 1000
        every.append(took)
        if first:
            cold.append(took)
handle.shutdown()
with open(report, "w") as out:
    out.write(f"{statistics.median(cold)} {statistics.median(every)}\n")
