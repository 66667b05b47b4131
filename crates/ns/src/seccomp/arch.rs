//! Architectures: those we compile for, and the names of all in OCI documents.

use serde::{Deserialize, Serialize};

/// The bit that x86-64 kernels see set in the number of an x32 call.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// A system call convention that filters are made for. The discriminant is the column of the call table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Arch {
    X86_64 = 0,
    X86 = 1,
    X32 = 2,
    Aarch64 = 3,
    Arm = 4,
}

impl Arch {
    /// The architecture this crate was built for.
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
    pub const NATIVE: Arch = Arch::X86_64;
    /// The architecture this crate was built for.
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
    pub const NATIVE: Arch = Arch::X32;
    /// The architecture this crate was built for.
    #[cfg(target_arch = "x86")]
    pub const NATIVE: Arch = Arch::X86;
    /// The architecture this crate was built for.
    #[cfg(target_arch = "aarch64")]
    pub const NATIVE: Arch = Arch::Aarch64;
    /// The architecture this crate was built for.
    #[cfg(target_arch = "arm")]
    pub const NATIVE: Arch = Arch::Arm;

    /// What programs can call through on a kernel whose native architecture this is, that one first.
    #[must_use]
    pub const fn family(self) -> &'static [Arch] {
        match self {
            Arch::X86_64 | Arch::X32 => &[Arch::X86_64, Arch::X86, Arch::X32],
            Arch::X86 => &[Arch::X86],
            Arch::Aarch64 => &[Arch::Aarch64, Arch::Arm],
            Arch::Arm => &[Arch::Arm],
        }
    }

    /// The name in OCI documents.
    #[must_use]
    pub const fn architecture(self) -> Architecture {
        match self {
            Arch::X86_64 => Architecture::X86_64,
            Arch::X86 => Architecture::X86,
            Arch::X32 => Architecture::X32,
            Arch::Aarch64 => Architecture::Aarch64,
            Arch::Arm => Architecture::Arm,
        }
    }

    /// `AUDIT_ARCH_*` of `linux/audit.h`, which is `seccomp_data.arch`. x32 is told from x86-64 by its bit alone.
    pub(super) const fn audit(self) -> u32 {
        match self {
            Arch::X86_64 | Arch::X32 => 0xc000_003e,
            Arch::X86 => 0x4000_0003,
            Arch::Aarch64 => 0xc000_00b7,
            Arch::Arm => 0x4000_0028,
        }
    }

    /// Whether arguments are compared as 64 bits.
    pub(super) const fn is_wide(self) -> bool {
        matches!(self, Arch::X86_64 | Arch::Aarch64)
    }

    /// What is added to the numbers of the table.
    pub(super) const fn base(self) -> u32 {
        if matches!(self, Arch::X32) { X32_BIT } else { 0 }
    }
}

/// The architectures that OCI documents name. Those that cannot occur on the native one are accepted and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub enum Architecture {
    #[serde(rename = "SCMP_ARCH_X86")]
    X86,
    #[serde(rename = "SCMP_ARCH_X86_64")]
    X86_64,
    #[serde(rename = "SCMP_ARCH_X32")]
    X32,
    #[serde(rename = "SCMP_ARCH_ARM")]
    Arm,
    #[serde(rename = "SCMP_ARCH_AARCH64")]
    Aarch64,
    #[serde(rename = "SCMP_ARCH_LOONGARCH64")]
    Loongarch64,
    #[serde(rename = "SCMP_ARCH_M68K")]
    M68k,
    #[serde(rename = "SCMP_ARCH_MIPS")]
    Mips,
    #[serde(rename = "SCMP_ARCH_MIPS64")]
    Mips64,
    #[serde(rename = "SCMP_ARCH_MIPS64N32")]
    Mips64n32,
    #[serde(rename = "SCMP_ARCH_MIPSEL")]
    Mipsel,
    #[serde(rename = "SCMP_ARCH_MIPSEL64")]
    Mipsel64,
    #[serde(rename = "SCMP_ARCH_MIPSEL64N32")]
    Mipsel64n32,
    #[serde(rename = "SCMP_ARCH_PARISC")]
    Parisc,
    #[serde(rename = "SCMP_ARCH_PARISC64")]
    Parisc64,
    #[serde(rename = "SCMP_ARCH_PPC")]
    Ppc,
    #[serde(rename = "SCMP_ARCH_PPC64")]
    Ppc64,
    #[serde(rename = "SCMP_ARCH_PPC64LE")]
    Ppc64le,
    #[serde(rename = "SCMP_ARCH_RISCV64")]
    Riscv64,
    #[serde(rename = "SCMP_ARCH_S390")]
    S390,
    #[serde(rename = "SCMP_ARCH_S390X")]
    S390x,
    #[serde(rename = "SCMP_ARCH_SH")]
    Sh,
    #[serde(rename = "SCMP_ARCH_SHEB")]
    Sheb,
}

impl Architecture {
    /// All that have names.
    pub const ALL: [Self; 23] = [
        Self::X86,
        Self::X86_64,
        Self::X32,
        Self::Arm,
        Self::Aarch64,
        Self::Loongarch64,
        Self::M68k,
        Self::Mips,
        Self::Mips64,
        Self::Mips64n32,
        Self::Mipsel,
        Self::Mipsel64,
        Self::Mipsel64n32,
        Self::Parisc,
        Self::Parisc64,
        Self::Ppc,
        Self::Ppc64,
        Self::Ppc64le,
        Self::Riscv64,
        Self::S390,
        Self::S390x,
        Self::Sh,
        Self::Sheb,
    ];
}
