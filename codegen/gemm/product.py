"""Matrix products: C = epilogue(A @ B), as a function that walks over the panels of B and the tiles of A.

Layouts, all in elements: A is M x K with row stride `lda` ("rows"), or K x M ("columns", a transposed matrix). C is
M x N with row stride `ldc`. B is one of

- "packed": constant weights, reordered at compile time by `weights.pack_panels` into panels as wide as the tile,
  k-major, 64-byte aligned, padded with zeros;
- "rows": K x N with row stride `ldb`;  "columns": N x K with row stride `ldb` (a transposed matrix).

The structure is the usual one. A *kernel* (`kernel`) holds a tile of accumulators in registers and walks over K.
The *driver* (`driver`) cuts C into *units*, a panel of B times a chunk of rows of A, and K into blocks, as
`plan` says; it packs what has to be packed, and calls kernels for the tiles and smaller ones for what is left
over. It works on a range of groups of units, so that threads can share a product; the bits do not depend on the ranges.

Functions carry names that say their content, so equal kernels of different products are compiled once.
"""

from __future__ import annotations

from optc.codegen.gemm.epilogue import PLAIN, Epilogue
from optc.codegen.gemm.kernel import Kernel, Order
from optc.codegen.gemm.plan import GROUPS, Plan, Source
from optc.codegen.gemm.sums import PART, is_cut
from optc.codegen.gemm.tiles import Tile, element_bytes
from optc.codegen.gemm.windows import PLACES
from optc.codegen.llvm import Declaration, Parameter
from optc.dataclass import dataclass
from optc.ir.dims import Dim, add, floordiv, multiply

PARAMETERS = (
    Parameter("ptr", "a", "readonly"),
    Parameter("i64", "lda"),
    Parameter("ptr", "b", "readonly"),
    Parameter("i64", "ldb"),
    Parameter("ptr", "c"),
    Parameter("i64", "ldc"),
    Parameter("i64", "m"),
    Parameter("i64", "n"),
    Parameter("i64", "k"),
    Parameter("ptr", "scratch"),
)
WINDOWED = (Parameter("ptr", "windows", "readonly"),)
BATCHED = (Parameter("i64", "batches"), Parameter("i64", "step_a"), Parameter("i64", "step_b"), Parameter("i64", "step_c"))  # fmt: skip
TURNING = (Parameter("i64", "reverse"),)
RANGE = (Parameter("i64", "start"), Parameter("i64", "stop"))

ALIGNMENT = 64


@dataclass(frozen=True)
class Gemm:
    """A whole product, or a batch of them.  Extents that are None are only known at run time.

    The function `name` takes (a, lda, b, ldb, c, ldc, m, n, k, scratch, [batches, steps from one A, B, C to the next,]
    [windows,] [places,] *epilogue's, start, stop): all extents are always passed, those that are known are not looked at.  `ldb` is not
    looked at for packed B, `scratch` (64-byte aligned, `groups` times `scratch_bytes` long) only where something is
    packed.  It computes the groups `start` to `stop` of `groups`.  M, N and K may be 0: the epilogue of 0 is stored for
    K = 0.
    """

    element: str
    plan: Plan
    m: int | None
    n: int | None
    k: int | None
    a: Order = "rows"
    source: Source = "packed"
    epilogue: Epilogue = PLAIN
    batches: int | None = 1
    windows: int = 0
    places: int = 0

    def __post_init__(self) -> None:
        if self.source == "packed" and self.n is None:
            raise ValueError("packed weights have a known number of columns")
        if self.windows and (self.a != "rows" or self.plan.packs_a or self.plan.transposes or self.plan.along):
            raise ValueError("windows are read where they are")
        if self.is_cut and self.plan.steps % PART:
            raise ValueError(f"blocks of {self.plan.steps} steps end within parts of {PART}")

    @property
    def tile(self) -> Tile:
        return self.plan.tile

    @property
    def is_cut(self) -> bool:
        """Whether the sums are added up in parts, apart from vectors along K, whose lanes are parts already."""
        return not self.plan.along and is_cut(self.k, self.element)

    @property
    def clamps(self) -> bool:
        """Whether kernels compute rows that are missing again: two heights of tiles serve all numbers of rows."""
        plan, is_placed = self.plan, self.windows > 0 or self.places > 0
        if self.m is not None or self.a != "rows" or is_placed:
            return False
        return plan.dear_masks and not (plan.packs_a or plan.transposes or plan.along)

    @property
    def name(self) -> str:
        extents = "x".join("any" if extent is None else str(extent) for extent in (self.m, self.n, self.k))
        plan = self.plan
        packing = "".join(
            letter for letter, holds in (("A", plan.packs_a), ("B", plan.packs_b), ("C", plan.copies_b)) if holds
        )
        packing += f"B{plan.packs_from}" if plan.packs_from else ""
        cut = f"{plan.rows}by{plan.steps}{packing}" + (f"_ahead{plan.ahead}" if plan.ahead else "")
        batch = "" if self.batches == 1 else f"_batch{self.batches or 'any'}"
        batch += f"_windows{self.windows}" if self.windows else ""
        batch += f"_places{self.places}" if self.places else ""
        batch += "_alternating" if plan.alternates else ""
        layout = f"{self.source}{'_turned' if self.a == 'columns' else ''}"
        return (
            f"product_{extents}{batch}_{layout}_{cut}_of_{self.kernel(self.tile.rows, self.tile.vectors, False).name}"
        )

    @property
    def is_batched(self) -> bool:
        return self.batches != 1

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        lies = (*(WINDOWED if self.windows else ()), *(PLACES if self.places else ()))
        turning = TURNING if self.plan.alternates else ()
        return (*PARAMETERS, *(BATCHED if self.is_batched else ()), *lies, *turning, *self.epilogue.parameters, *RANGE)

    @property
    def groups(self) -> int:
        """How many groups of units there are to share out."""
        if self.m is None or self.n is None or self.batches is None:
            return GROUPS
        panels, chunks = -(-self.n // self.tile.columns), -(-self.m // self.plan.rows)
        return min(GROUPS, max(1, self.batches * panels * chunks))

    @property
    def groups_together(self) -> int:
        """How many groups a thread should take at once: those that share a chunk of A, which is packed each time."""
        if not self.plan.packs_a or self.m is None or self.batches is None:
            return 1
        return -(-self.groups // (self.batches * -(-self.m // self.plan.rows)))

    def scratch_bytes(self, k: Dim) -> Dim:
        """The scratch memory of a group: a packed chunk of A and a packed panel of B."""
        steps: Dim = self.plan.steps or k
        rows = self.plan.rows if self.plan.packs_a else 0
        columns = self.plan.panel_columns
        if not rows + columns:
            return 0
        size = element_bytes(self.element)
        # A tile of A is written up to a vector too far, and the panel of B has to be aligned.
        used = multiply(steps, -(-rows * size // ALIGNMENT) * ALIGNMENT + columns * size)
        return _rounded_up(add(used, 2 * ALIGNMENT))

    def kernel(
        self, rows: int, vectors: int, masked: bool, copies: bool = False, lanes: int = 0, floats: bool = False
    ) -> Kernel:
        """The kernel for a tile of this size; `lanes`: of its vectors, where they are not the tile's."""
        plan = self.plan
        return Kernel(
            self.element,
            Tile(rows, vectors, lanes or self.tile.lanes),
            self.epilogue,
            a="columns" if plan.packs_a else self.a,
            b="columns" if plan.transposes or plan.along else "rows",
            masked=masked,
            ragged=masked and self.source == "rows" and not plan.packs_b,
            floats=floats,
            pieces=masked and plan.dear_masks,
            clamped=self.clamps,
            blocked=bool(plan.steps),
            prefetch=plan.prefetch,
            streams=plan.streams,
            copies=copies,
            fetches=plan.fetches_result,
            batched=self.is_batched,
            along=plan.along,
            overlaps=plan.dear_masks and self.k is not None and 0 < plan.along <= self.k,
            cut=self.is_cut and plan.steps != PART,
            adds=self.is_cut and plan.steps == PART,
            windows=self.windows,
            places=self.places,
        )

    def kernel_along_k(self, tile: Tile) -> Kernel:
        """The kernel for few columns, of which the run tells the number, and all of K at once."""
        dear, along = self.plan.dear_masks, self.plan.few_along
        return Kernel(
            self.element, tile, self.epilogue, b="columns", masked=True, pieces=dear, clamped=True,
            batched=self.is_batched, along=along, overlaps=dear, fetches=self.plan.fetches_result,
        )  # fmt: skip

    def declaration(self) -> Declaration:
        """What the caller's module needs."""
        return Declaration(self.name, "void", tuple(parameter.type for parameter in self.parameters))


def _rounded_up(bytes_: Dim) -> Dim:
    return multiply(floordiv(add(bytes_, ALIGNMENT - 1), ALIGNMENT), ALIGNMENT)
