//! Viewers of the page.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::web::Daemon;

/// A viewer is told every two seconds; where the machine is busy, less often.
const SELDOM: Duration = Duration::from_secs(5);

/// Many, each of whom reads what it is told.
pub(super) struct Viewers {
    over: Arc<AtomicBool>,
    begun: Instant,
    reader: JoinHandle<Vec<Vec<u8>>>,
}

impl Viewers {
    #[track_caller]
    pub(super) fn open(daemon: &Daemon, count: usize) -> Viewers {
        let host = daemon.address();
        let view = || -> std::io::Result<TcpStream> {
            let mut stream = daemon.connect()?;
            write!(stream, "GET /api/stream HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        let mut streams: Vec<TcpStream> =
            (0..count).map(|_| view().expect("there is room for one more viewer")).collect();
        let over = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let mut told = vec![Vec::new(); streams.len()];
                while !over.load(Ordering::Relaxed) {
                    for (stream, told) in streams.iter_mut().zip(&mut told) {
                        // It stops where nothing more is there by now.
                        let _ = stream.read_to_end(told);
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                told
            }
        });
        Viewers { over, begun: Instant::now(), reader }
    }

    /// Who of them was told too seldom.
    pub(super) fn close(self) -> Vec<String> {
        let due = self.begun.elapsed().as_secs() / SELDOM.as_secs();
        self.over.store(true, Ordering::Relaxed);
        let told = self.reader.join().expect("the reader does not panic");
        let times = |text: &[u8]| String::from_utf8_lossy(text).matches("event: sample\n").count();
        let seldom =
            told.iter().map(|text| times(text)).enumerate().filter(|(_, times)| (*times as u64) < due);
        seldom
            .map(|(viewer, times)| format!("viewer {viewer} was told {times} times, and {due} were due"))
            .collect()
    }
}
