//! Which memory a command gets, and which system it takes this one for.

use super::read::{objects, words};

objects! {
    MemoryPolicy {
        mode: MemoryMode = "mode",
        nodes: Option<String> = "nodes",
        flags: Option<Vec<MemoryFlag>> = "flags",
    }

    Personality {
        domain: PersonalityDomain = "domain",
        flags: Option<Vec<String>> = "flags",
    }
}

words! {
    /// In the order of the kernel's numbers, from 0 on.
    MemoryMode {
        Default = "MPOL_DEFAULT",
        Preferred = "MPOL_PREFERRED",
        Bind = "MPOL_BIND",
        Interleave = "MPOL_INTERLEAVE",
        Local = "MPOL_LOCAL",
        PreferredMany = "MPOL_PREFERRED_MANY",
        WeightedInterleave = "MPOL_WEIGHTED_INTERLEAVE",
    }

    /// In the order of the kernel's bits, from 13 on.
    MemoryFlag {
        NumaBalancing = "MPOL_F_NUMA_BALANCING",
        RelativeNodes = "MPOL_F_RELATIVE_NODES",
        StaticNodes = "MPOL_F_STATIC_NODES",
    }

    PersonalityDomain {
        Linux = "LINUX",
        Linux32 = "LINUX32",
    }
}
