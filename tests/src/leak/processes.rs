//! Processes: by the mark in their environment, their cgroup, their arguments, their program, and what they hold open.

use std::fs;
use std::path::Path;

use super::{MARK, Owner, Scope};
use crate::proc;

pub(super) fn find(scope: &Scope) -> Vec<String> {
    pids(scope).into_iter().map(describe).collect()
}

/// The processes that count in this scope, without the one that asks.
pub(crate) fn pids(scope: &Scope) -> Vec<i32> {
    let own = proc::own_pid();
    let all = proc::all_pids().into_iter().filter(|pid| *pid != own);
    all.filter(|pid| belongs(*pid, scope)).collect()
}

/// Whether a living process counts in this scope. A zombie is its parent's affair: the parent is found itself.
pub(crate) fn belongs(pid: i32, scope: &Scope) -> bool {
    let Some(comm) = read(pid, "comm") else { return false };
    if !proc::is_alive(pid) {
        return false;
    }
    let cgroup = read(pid, "cgroup").unwrap_or_default();
    let environ = read(pid, "environ").unwrap_or_default();
    let is_program = is_ours(&comm, pid);
    let marked = format!("{MARK}=");
    match scope {
        Scope::Machine => {
            is_program
                || cgroup.contains("/tinyd/")
                || environ.split('\0').any(|pair| pair.starts_with(&marked))
        }
        Scope::Test(owner) => {
            let mark = format!("{marked}{}", owner.tag);
            environ.split('\0').any(|pair| pair == mark)
                || owner.is_named_in(&cgroup)
                || owner.is_named_in(&proc::arguments(pid).join(" "))
                || (is_program && holds(pid, owner))
        }
    }
}

fn is_ours(comm: &str, pid: i32) -> bool {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    // "tinyd-tests" and the test programs themselves are called otherwise; a sealed copy reads "/memfd:tinyd… (deleted)".
    let name = exe.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_end_matches(" (deleted)").trim_start_matches("memfd:");
    matches!(name, "tinyd" | "tinyd-runtime") || matches!(comm.trim_end(), "tinyd" | "tinyd-runtime")
}

fn holds(pid: i32, owner: &Owner) -> bool {
    proc::descriptors(pid).iter().any(|(_, target)| owner.is_named_in(&target.to_string_lossy()))
}

fn describe(pid: i32) -> String {
    let arguments = proc::arguments(pid).join(" ");
    let cgroup = read(pid, "cgroup").unwrap_or_default();
    let cgroup = cgroup.lines().find(|line| line.contains("tinyd")).unwrap_or("no cgroup of ours");
    format!("{pid} {} [{arguments}] in {cgroup}", read(pid, "comm").unwrap_or_default().trim_end())
}

fn read(pid: i32, file: &str) -> Option<String> {
    let bytes = fs::read(Path::new("/proc").join(pid.to_string()).join(file)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
