//! A small helper process that starts commands and times them.
//!
//! It exists because one contender has to run in another mount namespace (crun 1.8 refuses a hybrid cgroup layout unless
//! the v2 mount is hidden): each helper is started once, and what sets it up is not counted.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tinyd_tests::proc::cgroups::hierarchies;

/// What is asked: the words of a command, as bytes.
#[derive(Serialize, Deserialize)]
struct Order(Vec<Vec<u8>>);

/// What is answered: the time from before the start to after the reaping, and the exit code.
#[derive(Serialize, Deserialize)]
struct Answer {
    nanos: u64,
    code: Option<i32>,
}

/// A helper that is waiting for orders.
pub(super) struct Spawner {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Spawner {
    /// Starts a helper; with `without_v2`, in a mount namespace without the v2 mount of a hybrid layout.
    pub(super) fn start(log: &Path, without_v2: bool) -> Result<Spawner> {
        let own = std::env::current_exe().context("this program has no path")?;
        let mounted = hierarchies();
        let is_hybrid = mounted.iter().any(|one| one.v2) && mounted.iter().any(|one| !one.v2);
        let unified = mounted.iter().find(|one| one.v2 && is_hybrid && without_v2);
        let mut command = match unified {
            Some(hierarchy) => {
                let mut command = Command::new("unshare");
                let script = "umount \"$1\" && shift && exec \"$@\"";
                command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
                command.arg(&hierarchy.mount).arg(own);
                command
            }
            None => Command::new(own),
        };
        command.args(["bench", "spawner"]).arg(log).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a helper")?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().context("a helper has no output")?;
        Ok(Spawner { child, orders, answers: BufReader::new(answers), log: log.to_owned() })
    }

    /// Runs a command to its end; an error when it does not succeed.
    pub(super) fn run(&mut self, words: &[OsString]) -> Result<Duration> {
        let order = Order(words.iter().map(|word| word.as_bytes().to_vec()).collect());
        let orders = self.orders.as_mut().context("the helper takes no more orders")?;
        writeln!(orders, "{}", serde_json::to_string(&order)?).context("the helper is gone")?;
        let mut line = String::new();
        self.answers.read_line(&mut line).context("the helper does not answer")?;
        let answer: Answer = serde_json::from_str(&line).context("the helper is gone")?;
        if answer.code != Some(0) {
            let said = fs::read_to_string(&self.log).unwrap_or_default();
            let command: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
            bail!("`{}` ended with {:?}: {}", command.join(" "), answer.code, said.trim());
        }
        Ok(Duration::from_nanos(answer.nanos))
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        // It ends with its orders.
        self.orders = None;
        let _ = self.child.wait();
    }
}

/// The helper's side: an order a line on the input, an answer a line on the output.
pub(crate) fn serve(log: &Path) -> Result<()> {
    for line in std::io::stdin().lines() {
        let Order(words) = serde_json::from_str(&line?).context("this is no order")?;
        let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
        let (program, arguments) = words.split_first().context("an order without a program")?;
        let errors = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        // std starts it by posix_spawn, and its clock is CLOCK_MONOTONIC.
        let start = Instant::now();
        let status = command.spawn().and_then(|mut child| child.wait());
        let took = start.elapsed();
        let code = status.with_context(|| format!("cannot run {}", program.display()))?.code();
        let answer = Answer { nanos: u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), code };
        println!("{}", serde_json::to_string(&answer)?);
    }
    Ok(())
}
