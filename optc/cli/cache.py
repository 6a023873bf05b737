"""`optc cache`: what lies in the disk cache, and how to get rid of it."""

from __future__ import annotations

import argparse


def run(arguments: argparse.Namespace) -> int:
    """`optc cache --info` or `--clear`."""
    # Code generation's modules take a moment to load: only this command needs them here.
    from optc.codegen.machine.object_cache import ObjectCache, cache_directory

    cache = ObjectCache(cache_directory())
    if arguments.clear:
        count = cache.clear()
        print(f"{count} {'entry' if count == 1 else 'entries'} deleted from {cache.directory}")
        return 0
    files = [stat.st_size for stat, _ in cache.files()]
    print(f"directory  {cache.directory}")
    print(f"entries    {len(files)}")
    print(f"bytes      {sum(files)} of {cache.limit}")
    print(f"last used  {cache.last_use() or 'never'}")
    return 0
