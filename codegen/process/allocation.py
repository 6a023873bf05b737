"""Memory as native code gets it: small blocks on cache lines, big ones on pages, on huge pages where there are such.

Everything can be given back with C's `free`, which is what numpy does with the memory of its arrays.

Why big blocks start on pages: processors compare the lower twelve bits of addresses to see whether a load needs an
earlier store. A kernel that writes a little further into a page than it reads then waits for its own stores: twice the
time where everything is in the first cache, a third more in the second. numpy's large arrays start 16 bytes into a page.
"""

from __future__ import annotations

import os
import sys

from optc.codegen.llvm import Builder, Function, Module, Parameter, Value
from optc.codegen.process.context import BLOCK_CLASSES

ALIGNMENT = 64
PAGE = 4096
PAGED = 4 * PAGE
"""Blocks from this size on start on a page."""

HUGE_PAGE = 2 << 20
_ADVICE = 14  # Linux's MADV_HUGEPAGE


def write_allocation(module: Module) -> tuple[Function, Function]:
    """`ptr allocate(i64 bytes)`, null without memory, and `void release(ptr)`, which takes null."""
    if os.name == "posix":
        return _allocate_aligned(module), _free(module)
    return _allocate_inside(module), _free_around(module)


def _allocate_aligned(module: Module) -> Function:
    function = module.function("allocate", "ptr", [Parameter("i64", "bytes")])
    b = Builder(function)
    bytes_ = b.intrinsic("umax", "i64", function.arguments[0], b.constant("i64", ALIGNMENT))
    place = b.alloca("ptr")
    reserve = module.declare("posix_memalign", "i32", ["ptr", "i64", "i64"])
    if sys.platform.startswith("linux"):
        with b.if_then(b.icmp("uge", bytes_, HUGE_PAGE)):
            with b.if_then(b.icmp("ne", b.call(reserve, place, HUGE_PAGE, bytes_), 0), likely=False):
                b.ret(b.constant("ptr", 0))
            _advise(module, b, b.load("ptr", place, 8), bytes_)
            b.ret(b.load("ptr", place, 8))
    alignment = b.select(b.icmp("uge", bytes_, PAGED), b.constant("i64", PAGE), b.constant("i64", ALIGNMENT))
    with b.if_then(b.icmp("ne", b.call(reserve, place, alignment, bytes_), 0), likely=False):
        b.ret(b.constant("ptr", 0))
    b.ret(b.load("ptr", place, 8))
    return function


def _advise(module: Module, b: Builder, memory: Value, bytes_: Value) -> None:
    """Ask for huge pages; where there are none, nothing changes."""
    advise = module.declare("madvise", "i32", ["ptr", "i64", "i32"])
    b.call(advise, memory, b.and_(bytes_, -HUGE_PAGE), _ADVICE)


def _free(module: Module) -> Function:
    function = module.function("release", "void", [Parameter("ptr", "memory")])
    b = Builder(function)
    b.call(module.declare("free", "void", ["ptr"]), function.arguments[0])
    b.ret()
    return function


def _allocate_inside(module: Module) -> Function:
    """malloc with room for the alignment and, in front of the memory, for the address to free."""
    function = module.function("allocate", "ptr", [Parameter("i64", "bytes")])
    b = Builder(function)
    block = b.call(module.declare("malloc", "ptr", ["i64"]), b.add(function.arguments[0], 2 * ALIGNMENT))
    with b.if_then(b.icmp("eq", block, 0), likely=False):
        b.ret(b.constant("ptr", 0))
    behind = b.gep("i8", block, ALIGNMENT + 8)
    aligned = b.intrinsic("ptrmask", "ptr", behind, b.constant("i64", -ALIGNMENT), overload=("ptr", "i64"))
    b.store(block, b.gep("i8", aligned, -8), 8)
    b.ret(aligned)
    return function


def _free_around(module: Module) -> Function:
    function = module.function("release", "void", [Parameter("ptr", "memory")])
    b = Builder(function)
    memory = function.arguments[0]
    with b.if_then(b.icmp("ne", memory, 0)):
        b.call(module.declare("free", "void", ["ptr"]), b.load("ptr", b.gep("i8", memory, -8), 8))
    b.ret()
    return function


def write_output_allocation(module: Module, allocate: Function) -> None:
    """`ptr allocate_output(ptr context, i64 output, i64 bytes)`: memory that `free_output`, C's free, gives back."""
    parameters = [Parameter("ptr", "context"), Parameter("i64", "output"), Parameter("i64", "bytes")]
    function = module.function("allocate_output", "ptr", parameters)
    b = Builder(function)
    bytes_ = b.intrinsic("umax", "i64", function.arguments[2], b.constant("i64", 1))
    if os.name == "posix":
        b.ret(b.call(allocate, bytes_))
    else:
        b.ret(b.call(module.declare("malloc", "ptr", ["i64"]), bytes_))
    freeing = module.function("free_output", "void", [Parameter("ptr", "memory")])
    b = Builder(freeing)
    b.call(module.declare("free", "void", ["ptr"]), freeing.arguments[0])
    b.ret()


# Blocks of a context ---------------------------------------------------------------------------------------------
#
# Sizes that are only known at run time: what a call gives back is kept in the context and handed out again, hottest
# first, so that no call after the first asks the system for memory. Sizes are rounded up to four steps per power of two.
# Blocks in use are chained too: a run that fails gives all of them back in one call, wherever it fails.

_HEADER = ALIGNMENT
"""In front of a block: its class, the next block of its chain, and in use the address of what points to the block."""
_PAGED_CLASS = 4 * (PAGED.bit_length() - 1)  # from this class on, a page stands in front of a block


def write_block_functions(module: Module, allocate: Function, release: Function, lists: int, used: int) -> None:
    """`ptr take_block(context, bytes)`, null without memory, `void give_block(context, block)`, which takes null,
    `void give_blocks(context)`, which gives all blocks that are in use, and `void drop_blocks(context)`, which gives all
    free blocks back to the system.

    Offsets in a context: `lists` of the `BLOCK_CLASSES` lists of free blocks, `used` of the chain of those in use.
    """
    _take_block(module, allocate, lists, used)
    _give_blocks(module, _give_block(module, lists), used)
    _drop_blocks(module, release, lists)


def _take_block(module: Module, allocate: Function, lists: int, used: int) -> None:
    function = module.function("take_block", "ptr", [Parameter("ptr", "context"), Parameter("i64", "bytes")])
    context, bytes_ = function.arguments
    b = Builder(function)
    chain = b.gep("i8", context, used)
    wanted = b.intrinsic("umax", "i64", bytes_, b.constant("i64", 4 * ALIGNMENT))
    with b.if_then(b.icmp("ugt", wanted, 1 << 60), likely=False):
        b.ret(b.constant("ptr", 0))
    # With e the exponent of the largest power of two below the size, a class is one of four steps from 2**e on.
    below = b.sub(wanted, 1)
    exponent = b.sub(63, b.intrinsic("ctlz", "i64", below, b.constant("i1", 1)))
    shift = b.sub(exponent, 2)
    step = b.lshr(below, shift)  # 4 to 7
    number = b.add(b.mul(exponent, 4), b.sub(step, 4))
    head = b.gep("i64", b.gep("i8", context, lists), number)
    first = b.load("ptr", head, 8)
    with b.if_then(b.icmp("ne", first, 0), likely=True):
        b.store(b.load("ptr", b.gep("i64", first, 1), 8), head, 8)
        _enchain(b, first, chain)
        b.ret(b.gep("i8", first, _HEADER))
    rounded = b.shl(b.add(step, 1), shift)
    front = _front(b, number)
    fresh = b.call(allocate, b.add(rounded, front))
    with b.if_then(b.icmp("eq", fresh, 0), likely=False):
        b.ret(b.constant("ptr", 0))
    memory = b.gep("i8", fresh, front)
    block = b.gep("i8", memory, -_HEADER)
    b.store(number, block, 8)
    _enchain(b, block, chain)
    b.ret(memory)


def _enchain(b: Builder, block: Value, chain: Value) -> None:
    """Put a block in front of those that are in use."""
    following = b.gep("i64", block, 1)
    first = b.load("ptr", chain, 8)
    b.store(first, following, 8)
    b.store(chain, b.gep("i64", block, 2), 8)
    with b.if_then(b.icmp("ne", first, 0)):
        b.store(following, b.gep("i64", first, 2), 8)
    b.store(block, chain, 8)


def _unchain(b: Builder, block: Value) -> None:
    """Take a block out of those that are in use."""
    following, pointing = b.load("ptr", b.gep("i64", block, 1), 8), b.load("ptr", b.gep("i64", block, 2), 8)
    b.store(following, pointing, 8)
    with b.if_then(b.icmp("ne", following, 0)):
        b.store(pointing, b.gep("i64", following, 2), 8)


def _front(b: Builder, number: Value) -> Value:
    """What stands in front of the memory of a class."""
    return b.select(b.icmp("uge", number, _PAGED_CLASS), b.constant("i64", PAGE), b.constant("i64", _HEADER))


def _give_block(module: Module, lists: int) -> Function:
    function = module.function("give_block", "void", [Parameter("ptr", "context"), Parameter("ptr", "block")])
    context, memory = function.arguments
    b = Builder(function)
    with b.if_then(b.icmp("ne", memory, 0)):
        block = b.gep("i8", memory, -_HEADER)
        _unchain(b, block)
        head = b.gep("i64", b.gep("i8", context, lists), b.load("i64", block, 8))
        b.store(b.load("ptr", head, 8), b.gep("i64", block, 1), 8)
        b.store(block, head, 8)
    b.ret()
    return function


def _give_blocks(module: Module, give: Function, used: int) -> None:
    function = module.function("give_blocks", "void", [Parameter("ptr", "context")])
    context = function.arguments[0]
    b = Builder(function)
    chain = b.gep("i8", context, used)
    with b.while_loop(carried=[b.load("ptr", chain, 8)]) as loop:
        loop.while_(b.icmp("ne", loop.carried[0], 0))
        b.call(give, context, b.gep("i8", loop.carried[0], _HEADER))
        loop.yield_([b.load("ptr", chain, 8)])
    b.ret()


def _drop_blocks(module: Module, release: Function, lists: int) -> None:
    function = module.function("drop_blocks", "void", [Parameter("ptr", "context")])
    b = Builder(function)
    with b.for_loop(0, BLOCK_CLASSES) as loop:
        head = b.gep("i64", b.gep("i8", function.arguments[0], lists), loop.index)
        with b.while_loop(carried=[b.load("ptr", head, 8)]) as chain:
            block = chain.carried[0]
            chain.while_(b.icmp("ne", block, 0))
            following = b.load("ptr", b.gep("i64", block, 1), 8)
            front = _front(b, b.load("i64", block, 8))
            b.call(release, b.gep("i8", block, b.sub(_HEADER, front)))
            chain.yield_([following])
        b.store(b.constant("ptr", 0), head, 8)
    b.ret()
