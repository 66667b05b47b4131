//! A daemon of a test, and the plainest client for its page: what is sent is sent byte for byte.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::env::Env;
use crate::output::Output;
use crate::running::Running;

/// `tinyd daemon` with a web page on a port that was free. Dropping it kills it, which ends no container.
#[derive(Debug)]
pub struct Daemon {
    running: Running,
    address: SocketAddr,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Answer {
    /// The number.
    pub status: u16,
    /// The headers, by their names in small letters; of one that came twice the last.
    pub headers: BTreeMap<String, String>,
    /// What followed them.
    pub body: String,
}

impl Daemon {
    /// Starts one with further options, and waits until it listens.
    #[track_caller]
    pub fn start(env: &Env, options: &[&str]) -> Daemon {
        Daemon::with(env, options, &[])
    }

    /// The same with environment variables.
    #[track_caller]
    pub fn with(env: &Env, options: &[&str], variables: &[(&str, &str)]) -> Daemon {
        let words = ["daemon", "--web", "127.0.0.1:0"].iter().chain(options).copied();
        let mut command = env.cmd(words).limit(Duration::from_secs(300));
        for (name, value) in variables {
            command = command.env(name, value);
        }
        Daemon::of(command.spawn())
    }

    /// One that was started otherwise.
    #[track_caller]
    pub fn of(mut running: Running) -> Daemon {
        let said = running.expect_error("/\n");
        let address = said.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.and_then(|text| text.parse().ok());
        Daemon { running, address: address.unwrap_or_else(|| panic!("no address in {said:?}")) }
    }

    /// Where the page is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.running.pid()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.running.has_ended()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(self) -> Output {
        self.running.wait()
    }

    /// Sends SIGTERM and waits.
    #[track_caller]
    pub fn stop(self) -> Output {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// A connection.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(10))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        Ok(stream)
    }

    /// Sends these bytes and reads to the end; what stands before the first empty line is the head.
    #[track_caller]
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect().expect("somebody listens");
        // It may answer, and close, before all has been sent.
        let _ = stream.write_all(bytes.as_ref());
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received);
        Answer::of(&String::from_utf8_lossy(&received))
    }

    /// A request with that first line's words and further headers, each with its line end.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let host = self.address;
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        self.raw(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}{length}\r\n{body}"))
    }

    /// `GET`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "")
    }

    /// What `GET` answers, which must be 200 and JSON.
    #[track_caller]
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{answer:?}");
        serde_json::from_str(&answer.body).unwrap_or_else(|err| panic!("{path}: {err}: {answer:?}"))
    }

    /// What `/api/containers` says of a container.
    #[track_caller]
    pub fn container(&self, id: &str) -> Value {
        let all = self.json("/api/containers")["containers"].take();
        let all = all.as_array().expect("it is always a list");
        all.iter().find(|one| one["id"] == id).cloned().unwrap_or(Value::Null)
    }
}

impl Answer {
    fn of(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
        let pairs = lines.filter_map(|line| line.split_once(": "));
        let headers = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Answer { status: status.unwrap_or(0), headers, body: body.to_owned() }
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}
