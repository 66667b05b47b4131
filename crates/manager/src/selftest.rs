//! The engine's test of itself: containers with limits of memory and of processor time, which the kernel is asked about,
//! and which are put under load.
//!
//! | case | limit |
//! |---|---|
//! | `C1MEM`, `C2MEM`, `C3MEM` | a sixteenth, an eighth, a quarter of the machine's memory |
//! | `C1CPU`, `C2CPU`, `C3CPU` | 6,250, 12,500, 25,000 µs of processor time in each 100,000 |
//!
//! All six run at the same time, in the image `host`. Each says which limits hold, as the kernel's own files have them seen
//! from inside; then the three that are limited in time count as fast as they can, together; then the three that are
//! limited in memory take more than they may, one after the other.
//!
//! It is written against [`Engine`] alone, and works with any.

mod cases;
mod cell;
mod judge;

use crate::process::readable_by;
use cases::CASES;
use cell::Cell;
use judge::Found;
use serde::Serialize;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};
use tinyd_engine::{Engine, Error, ErrorKind, Result};
use tinyd_runtime::load::{Order, Report, patience};

/// How far measured processor time may be from its quota, in hundredths of the quota. The kernel deals time out in
/// slices of some milliseconds, of which the smallest quota has one.
pub const PROCESSOR_TOLERANCE_PERCENT: u64 = 20;

/// How far the peak of memory may be from its limit, in hundredths of the limit: below, because a process is killed when it
/// asks for what is not there; above, because one that is being killed gets what it needs for that.
pub const MEMORY_TOLERANCE_PERCENT: u64 = 2;

/// How long processor time is measured, in milliseconds: thirty periods.
const WINDOW: u64 = 3000;

/// How often processor time is measured again when a container got less than its quota, which a busy machine may bring
/// about: without the two others then, with which it shares what the machine has left.
const ATTEMPTS: usize = 3;

/// How long an answer may take beyond what was ordered, on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a test of the engine found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SelfTest {
    /// Memory of the machine in bytes.
    pub mem_total: u64,
    /// Processors of the machine.
    #[serde(rename = "NCPU")]
    pub processors: usize,
    /// Every limit held.
    pub passed: bool,
    /// The cases, in their order.
    pub cases: Vec<Case>,
}

/// A container of the test.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Case {
    /// `C1MEM`.
    pub name: String,
    /// `memory` or `cpu`.
    pub resource: String,
    /// What was asked for: bytes, or microseconds of each period.
    pub limit: u64,
    /// The period in microseconds; `None` for memory.
    pub period: Option<u64>,
    /// What the kernel's files say; `None` where they know of no limit.
    pub kernel: Option<u64>,
    /// What was measured under load: the peak in bytes, or microseconds of each period; `None` where nothing was.
    pub measured: Option<u64>,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: Option<u64>,
    /// The limit is the one that was asked for, and held.
    pub passed: bool,
    /// What is wrong, in a clause without a full stop; empty when nothing is.
    pub problem: String,
}

/// Runs the test; `None` when it was called off: something was to be read from `call_off`. `step` is told what is done
/// next. Nothing of the six containers is left, however it ends.
///
/// # Errors
/// The engine's: when it cannot set the limits on this host, when one of the names is taken, when a container does not
/// start. That a limit does not hold is no error, but stands in the answer.
pub fn selftest(
    engine: &dyn Engine,
    call_off: Option<BorrowedFd<'_>>,
    step: &mut dyn FnMut(&str),
) -> Result<Option<SelfTest>> {
    let info = engine.info()?;
    let program = engine.version()?.runtime_path;
    let mut cells = Vec::new();
    let done = test(engine, info.mem_total, &program, &mut cells, &mut Watch { call_off, step });
    // Removed whatever happened; the first failure is the one to tell.
    let removed = cells.into_iter().map(|cell| cell.remove(engine)).fold(Ok(()), Result::and);
    let cases = done?;
    removed?;
    Ok(cases.map(|cases| SelfTest {
        mem_total: info.mem_total,
        processors: info.processors,
        passed: cases.iter().all(|case| case.passed),
        cases,
    }))
}

/// Who is told of the progress, and may end it.
struct Watch<'a> {
    call_off: Option<BorrowedFd<'a>>,
    step: &'a mut dyn FnMut(&str),
}

impl Watch<'_> {
    fn is_called_off(&self) -> Result<bool> {
        let Some(fd) = self.call_off else { return Ok(false) };
        readable_by(fd, Some(Instant::now())).map_err(|errno| {
            Error::with_source(ErrorKind::Internal, "look for the test's being called off", &errno)
        })
    }
}

/// The cases, judged; `None` when the test was called off.
fn test(
    engine: &dyn Engine,
    memory: u64,
    program: &str,
    cells: &mut Vec<Cell>,
    watch: &mut Watch<'_>,
) -> Result<Option<Vec<Case>>> {
    (watch.step)("starting six containers");
    for kind in CASES {
        if watch.is_called_off()? {
            return Ok(None);
        }
        cells.push(Cell::start(engine, kind, memory, program)?);
    }
    for cell in cells.iter_mut() {
        cell.order(Order::Limits)?;
        let Some(report) = cell.answer(PATIENCE, watch.call_off)? else { return Ok(None) };
        judge::limits(&mut cell.case, &report);
    }
    (watch.step)("measuring processor time");
    let mut low = Vec::new();
    for cell in cells.iter_mut().filter(|cell| !cell.is_memory()) {
        cell.order(Order::Processor(WINDOW))?;
    }
    for cell in cells.iter_mut().filter(|cell| !cell.is_memory()) {
        let Some(report) = cell.answer(PATIENCE, watch.call_off)? else { return Ok(None) };
        if judge::processor(&mut cell.case, &report) == Found::TooLow {
            low.push(cell);
        }
    }
    for cell in low {
        for _ in 0..ATTEMPTS {
            (watch.step)(&format!("measuring the processor time of {} once more", cell.case.name));
            cell.order(Order::Processor(WINDOW))?;
            let Some(report) = cell.answer(PATIENCE, watch.call_off)? else { return Ok(None) };
            if judge::processor(&mut cell.case, &report) == Found::Done {
                break;
            }
        }
    }
    for cell in cells.iter_mut().filter(|cell| cell.is_memory()) {
        (watch.step)(&format!("{} takes memory", cell.case.name));
        cell.order(Order::Memory)?;
        let patience = PATIENCE + patience(cell.case.limit);
        let Some(report) = cell.answer(patience, watch.call_off)? else { return Ok(None) };
        judge::memory(&mut cell.case, &report);
        // What it took stays counted while it lives; the next one needs the room.
        cell.close();
    }
    Ok(Some(cells.iter().map(|cell| cell.case.clone()).collect()))
}

/// What a container answered that it was not asked.
fn unexpected(report: &Report) -> String {
    match report {
        Report::Failed(why) => why.clone(),
        other => format!("an answer to something else: {other:?}"),
    }
}
