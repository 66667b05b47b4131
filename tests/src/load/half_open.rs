//! Connections over which only the beginning of a request comes.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::web::Daemon;

/// How many of those that were closed are opened again in a round, and how far two rounds are apart.
const AGAIN: usize = 20;
const ROUND: Duration = Duration::from_millis(100);

/// Very many, of which those that the daemon closes are opened again.
pub(super) struct HalfOpen {
    over: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
}

impl HalfOpen {
    #[track_caller]
    pub(super) fn open(daemon: &Daemon, count: usize) -> HalfOpen {
        let address = daemon.address();
        let begun = move || -> std::io::Result<TcpStream> {
            let mut one = TcpStream::connect(address)?;
            one.write_all(b"GET / HTTP/1.1\r\nX")?;
            one.set_nonblocking(true)?;
            Ok(one)
        };
        let mut all: Vec<TcpStream> =
            (0..count).map(|_| begun().expect("one more connection can be begun")).collect();
        let over = Arc::new(AtomicBool::new(false));
        let keeper = std::thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let mut next = 0;
                while !over.load(Ordering::Relaxed) && !all.is_empty() {
                    let mut again = 0;
                    for _ in 0..all.len() {
                        next = (next + 1) % all.len();
                        if again < AGAIN && is_closed(&all[next]) {
                            again += 1;
                            if let Ok(one) = begun() {
                                all[next] = one;
                            }
                        }
                    }
                    std::thread::sleep(ROUND);
                }
            }
        });
        HalfOpen { over, keeper }
    }

    pub(super) fn close(self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.keeper.join();
    }
}

/// An answer closes it as well.
fn is_closed(one: &TcpStream) -> bool {
    one.peek(&mut [0]).map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |_| true)
}
