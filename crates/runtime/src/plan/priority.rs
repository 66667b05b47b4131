//! When and where a command runs: what its parent sets of it, with the host's rights, before it is told whom to become; and what it
//! sets of itself.

use super::spec::invalid;
use crate::Failure;
use crate::config::{
    self, IoClass, IoPriority, Linux, MemoryFlag, Personality, PersonalityDomain, Process, Scheduler,
    SchedulerFlag, SchedulerPolicy,
};
use rustix::thread::CpuSet;
use tinyd_ns::schedule;

/// As many nodes as any kernel is built for.
const NODES: usize = 1024;

/// What a command's processes have of the machine's time and memory.
#[derive(Default)]
pub(crate) struct Priority {
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) scheduler: Option<schedule::Attributes>,
    /// Class and level.
    pub(crate) io: Option<(u32, u32)>,
    /// Where a further command runs before it is in the container's cgroup, and where after that.
    pub(crate) cpus: [Option<CpuSet>; 2],
    pub(crate) personality: Option<u32>,
    pub(crate) memory: Option<MemoryPolicy>,
}

/// A mode with its flags, and the nodes that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryPolicy {
    pub(crate) mode: u32,
    pub(crate) nodes: Option<[u64; NODES / 64]>,
}

pub(super) fn of(process: &Process, linux: Option<&Linux>) -> Result<Priority, Failure> {
    let oom_score_adj = process.oom_score_adj;
    if let Some(score) = oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        return Err(invalid("process.oomScoreAdj", format!("{score} is not between -1000 and 1000")));
    }
    let affinity = process.exec_cpu_affinity.as_ref();
    let cpus = |list: Option<&String>| {
        list.filter(|list| !list.trim().is_empty()).map(|list| cpu_set(list)).transpose()
    };
    Ok(Priority {
        oom_score_adj,
        scheduler: process.scheduler.as_ref().map(scheduler).transpose()?,
        io: process.io_priority.as_ref().map(io).transpose()?,
        cpus: [
            cpus(affinity.and_then(|affinity| affinity.initial.as_ref()))?,
            cpus(affinity.and_then(|affinity| affinity.last.as_ref()))?,
        ],
        personality: linux.and_then(|linux| linux.personality.as_ref()).map(personality).transpose()?,
        memory: linux.and_then(|linux| linux.memory_policy.as_ref()).map(memory).transpose()?,
    })
}

fn scheduler(wanted: &Scheduler) -> Result<schedule::Attributes, Failure> {
    const PROPERTY: &str = "process.scheduler";
    let policy = match wanted.policy {
        SchedulerPolicy::Other => libc::SCHED_OTHER,
        SchedulerPolicy::Fifo => libc::SCHED_FIFO,
        SchedulerPolicy::RoundRobin => libc::SCHED_RR,
        SchedulerPolicy::Batch => libc::SCHED_BATCH,
        SchedulerPolicy::Idle => libc::SCHED_IDLE,
        SchedulerPolicy::Deadline => libc::SCHED_DEADLINE,
        SchedulerPolicy::Iso => return Err(invalid(PROPERTY, "Linux has no SCHED_ISO")),
    };
    let flags = wanted.flags.iter().flatten().fold(0, |all, flag| {
        all | match flag {
            SchedulerFlag::ResetOnFork => 0x01,
            SchedulerFlag::Reclaim => 0x02,
            SchedulerFlag::DeadlineOverrun => 0x04,
            SchedulerFlag::KeepPolicy => 0x08,
            SchedulerFlag::KeepParams => 0x10,
            SchedulerFlag::UtilClampMin => 0x20,
            SchedulerFlag::UtilClampMax => 0x40,
        }
    });
    let (nice, priority) = (wanted.nice.unwrap_or(0), wanted.priority.unwrap_or(0));
    let real_time = matches!(policy, libc::SCHED_FIFO | libc::SCHED_RR);
    let times = [wanted.runtime, wanted.deadline, wanted.period];
    if !(-20..=19).contains(&nice) {
        return Err(invalid(PROPERTY, format!("nice {nice} is not between -20 and 19")));
    }
    if nice != 0 && !matches!(policy, libc::SCHED_OTHER | libc::SCHED_BATCH) {
        return Err(invalid(PROPERTY, "nice is for SCHED_OTHER and SCHED_BATCH"));
    }
    if real_time != (1..=99).contains(&priority) || (!real_time && priority != 0) {
        return Err(invalid(
            PROPERTY,
            "SCHED_FIFO and SCHED_RR have a priority from 1 to 99, the others none",
        ));
    }
    if policy != libc::SCHED_DEADLINE && times.iter().flatten().any(|time| *time != 0) {
        return Err(invalid(PROPERTY, "runtime, deadline and period are for SCHED_DEADLINE"));
    }
    let [runtime, deadline, period] = times.map(Option::unwrap_or_default);
    Ok(schedule::Attributes {
        policy: policy.unsigned_abs(),
        flags,
        nice,
        priority: priority.unsigned_abs(),
        runtime,
        deadline,
        period,
    })
}

fn io(wanted: &IoPriority) -> Result<(u32, u32), Failure> {
    let class = match wanted.class {
        IoClass::RealTime => 1,
        IoClass::BestEffort => 2,
        IoClass::Idle => 3,
    };
    match u32::try_from(wanted.priority) {
        Ok(level @ 0..=7) => Ok((class, level)),
        _ => Err(invalid("process.ioPriority", format!("{} is not between 0 and 7", wanted.priority))),
    }
}

fn personality(wanted: &Personality) -> Result<u32, Failure> {
    if wanted.flags.iter().flatten().next().is_some() {
        return Err(invalid("linux.personality.flags", "there are none that are supported"));
    }
    Ok(match wanted.domain {
        PersonalityDomain::Linux => 0,
        PersonalityDomain::Linux32 => 8,
    })
}

fn memory(wanted: &config::MemoryPolicy) -> Result<MemoryPolicy, Failure> {
    const PROPERTY: &str = "linux.memoryPolicy";
    let (mode, bit) = (wanted.mode as u32, |flag: &MemoryFlag| 1 << (13 + *flag as u32));
    let flags = wanted.flags.iter().flatten().map(bit).fold(0, |all, bit| all | bit);
    let mut nodes = None;
    if let Some(list) = wanted.nodes.as_deref().filter(|list| !list.is_empty()) {
        let mask = nodes.insert([0; NODES / 64]);
        for node in
            numbers(list, NODES).ok_or_else(|| invalid(PROPERTY, format!("{list:?} is no list of nodes")))?
        {
            mask[node / 64] |= 1u64 << (node % 64);
        }
    }
    match (mode, nodes.is_some()) {
        (0 | 4, true) => Err(invalid(PROPERTY, "this mode has no nodes")),
        (2 | 3 | 5 | 6, false) => Err(invalid(PROPERTY, "this mode needs nodes")),
        _ => Ok(MemoryPolicy { mode: mode | flags, nodes }),
    }
}

fn cpu_set(list: &str) -> Result<CpuSet, Failure> {
    let mut set = CpuSet::new();
    let numbers = numbers(list, CpuSet::MAX_CPU)
        .ok_or_else(|| invalid("process.execCPUAffinity", format!("{list:?} is no list of processors")))?;
    numbers.into_iter().for_each(|number| set.set(number));
    Ok(set)
}

/// Numbers and ranges with commas between, as the kernel writes lists of processors and nodes.
fn numbers(list: &str, most: usize) -> Option<Vec<usize>> {
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|number| *number < most);
    let mut all = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(process: &str, linux: &str) -> Result<Priority, Failure> {
        let mut process: serde_json::Value = serde_json::from_str(process).unwrap();
        process["cwd"] = "/".into();
        process["user"] = serde_json::json!({});
        let process = crate::plan::read(process.to_string().as_bytes()).unwrap();
        super::of(&process, Some(&crate::plan::read(linux.as_bytes()).unwrap()))
    }

    #[test]
    fn pure_a_scheduler_in_the_kernels_words() {
        let found = of(
            r#"{"scheduler": {"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 3,
                "flags": ["SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_RESET_ON_FORK"]}, "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 4},
                "oomScoreAdj": -5}"#,
            "{}",
        )
        .unwrap();
        let deadline = schedule::Attributes {
            policy: 6,
            flags: 7,
            runtime: 1,
            deadline: 2,
            period: 3,
            ..Default::default()
        };
        assert_eq!(found.scheduler, Some(deadline));
        assert_eq!((found.io, found.oom_score_adj), (Some((3, 4)), Some(-5)));
        for bad in [
            r#"{"scheduler": {"policy": "SCHED_OTHER", "nice": 20}}"#,
            r#"{"scheduler": {"policy": "SCHED_FIFO", "priority": 1, "nice": 1}}"#,
            r#"{"scheduler": {"policy": "SCHED_RR"}}"#,
            r#"{"scheduler": {"policy": "SCHED_RR", "priority": 100}}"#,
            r#"{"scheduler": {"policy": "SCHED_BATCH", "priority": 1}}"#,
            r#"{"scheduler": {"policy": "SCHED_IDLE", "runtime": 1}}"#,
            r#"{"scheduler": {"policy": "SCHED_ISO"}}"#,
            r#"{"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}}"#,
            r#"{"oomScoreAdj": 1001}"#,
            r#"{"execCPUAffinity": {"final": "3-1"}}"#,
            r#"{"execCPUAffinity": {"initial": "999999"}}"#,
        ] {
            assert!(of(bad, "{}").is_err(), "{bad}");
        }
    }

    #[test]
    fn pure_memory_and_personality_in_the_kernels_words() {
        let found = of(
            r#"{"execCPUAffinity": {"initial": "0, 2-3", "final": " "}}"#,
            r#"{"personality": {"domain": "LINUX32"}, "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0,64-65",
                "flags": ["MPOL_F_STATIC_NODES"]}}"#,
        )
        .unwrap();
        let memory = found.memory.unwrap();
        assert_eq!((memory.mode, memory.nodes.unwrap()[..2].to_vec()), (2 | 1 << 15, vec![1, 3]));
        assert_eq!(found.personality, Some(8));
        let cpus = found.cpus[0].unwrap();
        assert_eq!((0..5).map(|cpu| cpus.is_set(cpu)).collect::<Vec<_>>(), [true, false, true, true, false]);
        assert!(found.cpus[1].is_none());
        for bad in [
            r#"{"personality": {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}}"#,
            r#"{"memoryPolicy": {"mode": "MPOL_BIND"}}"#,
            r#"{"memoryPolicy": {"mode": "MPOL_LOCAL", "nodes": "0"}}"#,
            r#"{"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "x"}}"#,
        ] {
            assert!(of("{}", bad).is_err(), "{bad}");
        }
    }
}
