//! A connection on which frames are sent and read one by one.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{END_HEADERS, END_STREAM, Frame, PREFACE, call, kind};

/// Longer than anything that a daemon waits for.
const PATIENCE: Duration = Duration::from_secs(60);

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A connection. Its end is found out by reading.
pub struct Wire(Box<dyn Stream>);

impl Wire {
    /// A connection to a socket.
    pub fn unix(path: &Path) -> Wire {
        let stream = UnixStream::connect(path).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket has timeouts");
        Wire::of(stream)
    }

    /// One that is there already.
    pub fn of(stream: impl Read + Write + Send + 'static) -> Wire {
        Wire(Box::new(stream))
    }

    /// Says what every connection begins with.
    pub fn begun(mut self) -> Wire {
        self.send(&[PREFACE, &Frame::settings().bytes()].concat()).expect("a connection takes its beginning");
        self
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Begins a call that has no message yet.
    pub fn begin_call(&mut self, stream: u32, path: &str) {
        let headers = Frame::new(kind::HEADERS, END_HEADERS, stream, call(path));
        self.send(&headers.bytes()).expect("a connection takes a call");
    }

    /// Makes a call with one message.
    pub fn call(&mut self, stream: u32, path: &str, message: &[u8]) {
        self.begin_call(stream, path);
        let data = Frame::new(kind::DATA, END_STREAM, stream, crate::grpc::framed(message));
        self.send(&data.bytes()).expect("a connection takes a message");
    }

    /// The next frame; none when the connection has ended.
    #[track_caller]
    pub fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.fill(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        self.fill(&mut payload)?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until such a frame, and answers pings and settings meanwhile. None when the connection has ended.
    #[track_caller]
    pub fn until(&mut self, is_wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.frame()?;
            if is_wanted(&frame) {
                return Some(frame);
            }
            if matches!(frame.kind, kind::PING | kind::SETTINGS) && frame.flags == 0 {
                let answer = match frame.kind {
                    kind::PING => frame.payload,
                    _ => Vec::new(),
                };
                let _ = self.send(&Frame::new(frame.kind, END_STREAM, 0, answer).bytes());
            }
        }
    }

    /// Reads until a call's answer has ended.
    #[track_caller]
    pub fn answered(&mut self, stream: u32) -> bool {
        let ends = |frame: &Frame| frame.stream == stream && frame.flags & END_STREAM != 0;
        self.until(|frame| ends(frame) && matches!(frame.kind, kind::HEADERS | kind::DATA)).is_some()
    }

    /// Reads to the end of the connection, and gives why that came, where it was told.
    #[track_caller]
    pub fn ended(&mut self) -> Option<u32> {
        let mut reason = None;
        while let Some(frame) = self.frame() {
            reason = frame.reason().or(reason);
        }
        reason
    }

    #[track_caller]
    fn fill(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.0.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("the connection neither says anything nor ends")
            }
            Err(_) => None,
        }
    }
}
