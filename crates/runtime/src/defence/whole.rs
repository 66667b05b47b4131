//! What anybody's build has in place of the switches: nothing.

use super::Defence;
use crate::plan::{Plan, ProcessPlan};
use std::ffi::OsString;
use tinyd_cgroup::JoinHandle;

pub(crate) const fn off(_: Defence) -> bool {
    false
}

pub(crate) const fn choose() -> Result<(), String> {
    Ok(())
}

pub(crate) const fn choose_for_client() {}

pub(crate) const fn passed_on() -> Option<(&'static str, OsString)> {
    None
}

pub(crate) const fn plan(plan: Plan) -> Plan {
    plan
}

pub(crate) const fn command(plan: ProcessPlan) -> ProcessPlan {
    plan
}

pub(crate) const fn leak(_: &JoinHandle) {}

pub(crate) const fn linger() {}
