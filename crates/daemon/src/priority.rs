//! Who goes first where there are more to run than processors.

use tinyd_ns::schedule::{self, Attributes};

/// How much nicer to the page's threads than to others the kernel is: what they have to do is done as soon as it comes. It is
/// some milliseconds for an answer.
const AHEAD: i32 = -10;

/// `SCHED_FLAG_RESET_ON_FORK`: whatever is started from such a thread, a container's monitor say, is like any other.
const NOT_INHERITED: u64 = 1;

/// Lets this thread go before those that have more to do: logs that are followed, and programs in containers. Where the daemon
/// was started with a policy or nice value that somebody chose, and where the right is missing, it stays as it is.
pub(crate) fn go_first() {
    if schedule::policy(0) == Ok(0) && rustix::process::getpriority_process(None) == Ok(0) {
        set(AHEAD);
    }
}

/// Does what may take long, a verb, without going first, whoever's thread it is.
pub(crate) fn in_turn<T>(work: impl FnOnce() -> T) -> T {
    if rustix::process::getpriority_process(None) != Ok(AHEAD) {
        return work();
    }
    set(0);
    let done = work();
    set(AHEAD);
    done
}

/// Of this thread alone, as Linux has it.
fn set(nice: i32) {
    let _ = schedule::set(0, &Attributes { flags: NOT_INHERITED, nice, ..Attributes::default() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn root_a_thread_that_goes_first_starts_programs_that_do_not() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        if !rustix::process::geteuid().is_root() || nice() != 0 {
            return;
        }
        let ahead = std::thread::spawn(move || {
            go_first();
            assert_eq!((in_turn(nice), nice()), (0, AHEAD));
            let of_program = Command::new("nice").output().unwrap().stdout;
            (nice(), String::from_utf8(of_program).unwrap())
        });
        assert_eq!(ahead.join().unwrap(), (AHEAD, "0\n".to_owned()));
        assert_eq!((nice(), in_turn(nice)), (0, 0), "the others are as they were");
    }
}
