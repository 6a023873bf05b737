"""What code is generated for: `Target` describes a processor, and can be restricted to test narrower ones.

The facts about this machine come from LLVM, hence from `optc.codegen.machine.jit.host_target()`.
"""

from collections.abc import Collection

from optc.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A processor as code generation sees it.

    triple, cpu, features: in LLVM's spelling.  vector_bytes: width of the vector registers to use (64, 32 or 16).
    vector_registers: how many of them there are.  masks: masked loads and stores are single instructions.
    fma: fused multiply-add is an instruction.
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    vector_registers: int
    masks: bool
    fma: bool

    @staticmethod
    def of_features(triple: str, cpu: str, features: Collection[str]) -> "Target":
        """The target with the given processor features, as LLVM names them; `features` itself is left empty."""
        if triple.startswith(("aarch64", "arm64")):
            return Target(triple, cpu, "", vector_bytes=16, vector_registers=32, masks=False, fma=True)
        if {"avx512f", "avx512vl", "avx512dq", "avx512bw"} <= set(features):
            return Target(triple, cpu, "", vector_bytes=64, vector_registers=32, masks=True, fma=True)
        if {"avx2", "fma"} <= set(features):
            return Target(triple, cpu, "", vector_bytes=32, vector_registers=16, masks=True, fma=True)
        return Target(triple, cpu, "", vector_bytes=16, vector_registers=16, masks=False, fma="fma" in features)

    def lanes(self, element: str) -> int:
        """How many elements of an LLVM scalar type fill a vector register; a boolean (i1) takes a byte."""
        sizes = {"half": 2, "bfloat": 2, "float": 4, "double": 8, "i1": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8}
        return self.vector_bytes // sizes[element]

    @property
    def is_x86(self) -> bool:
        return self.triple.startswith("x86_64")

    @property
    def has_few_registers(self) -> bool:
        """Whether vectors in use leave no registers for constants."""
        return self.vector_registers < 32

    @property
    def first_level_bytes(self) -> int:
        """What a core's first-level cache holds at least: Zen 4 and Skylake have 32 KB, Zen 5 and Ice Lake 48 KB."""
        return 1 << 15

    @property
    def second_level_bytes(self) -> int:
        """What a core's second-level cache holds at most: half as much in processors that have narrow vectors."""
        return 1 << 21 if self.vector_bytes >= 64 else 1 << 20

    @property
    def third_level_bytes(self) -> int:
        """What of the third-level cache one program may count on, where others use it too."""
        return 1 << 24

    @property
    def fetches_alone(self) -> bool:
        """Whether the processor sees by itself what will be read and written, so that asking for it mostly takes time:
        Zen 5."""
        return self.cpu == "znver5"

    @property
    def halves_wide_vectors(self) -> bool:
        """Whether vectors of 64 bytes are computed half by half, so that half of one takes half of the time: Zen 4."""
        return self.cpu == "znver4"

    @property
    def avx512(self) -> bool:
        """The AVX-512 instructions that scale, split and look up (F, VL, DQ and BW)."""
        return self.is_x86 and self.vector_bytes == 64


AVX512 = Target("x86_64-unknown-linux-gnu", "skylake-avx512", "", 64, 32, masks=True, fma=True)
"""Any server processor with 512-bit vectors."""

AVX2 = Target("x86_64-unknown-linux-gnu", "haswell", "", 32, 16, masks=True, fma=True)
"""256-bit vectors with fused multiply-add: nearly every x86 processor since 2013."""

GENERIC = Target("x86_64-unknown-linux-gnu", "x86-64", "", 16, 16, masks=False, fma=False)
"""The x86-64 baseline: 128-bit vectors, no fused multiply-add."""

NEON = Target("aarch64-unknown-linux-gnu", "neoverse-n1", "", 16, 32, masks=False, fma=True)
"""64-bit Arm; on other machines only good for reading assembly."""
