//! The command: what it is, who it becomes, and what it may.

use super::read::{objects, words};
use std::path::PathBuf;

objects! {
    Process {
        terminal: Option<bool> = "terminal",
        console_size: Option<ConsoleSize> = "consoleSize",
        user: User = "user",
        args: Option<Vec<String>> = "args",
        env: Option<Vec<String>> = "env",
        cwd: PathBuf = "cwd",
        capabilities: Option<Capabilities> = "capabilities",
        rlimits: Option<Vec<Rlimit>> = "rlimits",
        no_new_privileges: Option<bool> = "noNewPrivileges",
        apparmor_profile: Option<String> = "apparmorProfile",
        selinux_label: Option<String> = "selinuxLabel",
        oom_score_adj: Option<i32> = "oomScoreAdj",
        scheduler: Option<Scheduler> = "scheduler",
        io_priority: Option<IoPriority> = "ioPriority",
        exec_cpu_affinity: Option<CpuAffinity> = "execCPUAffinity",
    }

    ConsoleSize {
        height: u64 = "height",
        width: u64 = "width",
    }

    User {
        uid: u32 = "uid" or 0,
        gid: u32 = "gid" or 0,
        umask: Option<u32> = "umask",
        additional_gids: Option<Vec<u32>> = "additionalGids",
    }

    /// Names, of which some may be unknown here: whoever wants those is none the worse without.
    Capabilities {
        bounding: Option<Vec<String>> = "bounding",
        effective: Option<Vec<String>> = "effective",
        permitted: Option<Vec<String>> = "permitted",
        inheritable: Option<Vec<String>> = "inheritable",
        ambient: Option<Vec<String>> = "ambient",
    }

    Rlimit {
        typ: String = "type",
        soft: u64 = "soft" or 0,
        hard: u64 = "hard" or 0,
    }

    Scheduler {
        policy: SchedulerPolicy = "policy",
        nice: Option<i32> = "nice",
        priority: Option<i32> = "priority",
        flags: Option<Vec<SchedulerFlag>> = "flags",
        runtime: Option<u64> = "runtime",
        deadline: Option<u64> = "deadline",
        period: Option<u64> = "period",
    }

    IoPriority {
        class: IoClass = "class",
        priority: i64 = "priority" or 0,
    }

    /// Lists of processors, as the kernel writes them.
    CpuAffinity {
        initial: Option<String> = "initial",
        last: Option<String> = "final",
    }
}

impl Process {
    /// Of a container that has no command: it is never executed.
    pub(crate) fn nothing() -> Self {
        Self { args: Some(vec!["/".to_owned()]), cwd: "/".into(), ..Self::default() }
    }
}

words! {
    SchedulerPolicy {
        Other = "SCHED_OTHER",
        Fifo = "SCHED_FIFO",
        RoundRobin = "SCHED_RR",
        Batch = "SCHED_BATCH",
        Iso = "SCHED_ISO",
        Idle = "SCHED_IDLE",
        Deadline = "SCHED_DEADLINE",
    }

    SchedulerFlag {
        ResetOnFork = "SCHED_FLAG_RESET_ON_FORK" | "SCHED_RESET_ON_FORK",
        Reclaim = "SCHED_FLAG_RECLAIM",
        DeadlineOverrun = "SCHED_FLAG_DL_OVERRUN",
        KeepPolicy = "SCHED_FLAG_KEEP_POLICY",
        KeepParams = "SCHED_FLAG_KEEP_PARAMS",
        UtilClampMin = "SCHED_FLAG_UTIL_CLAMP_MIN",
        UtilClampMax = "SCHED_FLAG_UTIL_CLAMP_MAX",
    }

    IoClass {
        RealTime = "IOPRIO_CLASS_RT",
        BestEffort = "IOPRIO_CLASS_BE",
        Idle = "IOPRIO_CLASS_IDLE",
    }
}
