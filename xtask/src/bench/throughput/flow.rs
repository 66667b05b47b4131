//! One connection over a way, as fast as it goes.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tinyd_tests::Machine;

/// What is written, and read, at once.
const PIECE: usize = 128 << 10;
/// What is not counted: the connection finds out how much the way takes.
const BEFORE: Duration = Duration::from_millis(300);
/// For whatever ought to happen at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// One way: where it begins, the address that is called, and where that is answered.
pub(super) struct Way<'a> {
    pub(super) from: &'a Machine,
    pub(super) called: &'static str,
    pub(super) to: &'a Machine,
    pub(super) port: u16,
}

impl Way<'_> {
    /// How many bytes a second arrive.
    pub(super) fn measure(&self, span: Duration) -> Result<f64> {
        // A socket stays in the namespace that it was made in, whoever uses it.
        let listener = self.to.within(|| TcpListener::bind(("0.0.0.0", self.port)));
        let listener = listener.with_context(|| format!("cannot listen at port {}", self.port))?;
        let address: IpAddr = self.called.parse().context("no address")?;
        let called = SocketAddr::new(address, self.port);
        let near = self.from.within(|| TcpStream::connect_timeout(&called, PATIENCE));
        let near = near.with_context(|| format!("cannot connect to {called}"))?;
        let (far, _) = listener.accept().context("cannot accept")?;
        far.set_read_timeout(Some(PATIENCE))?;
        near.set_write_timeout(Some(PATIENCE))?;
        thread::scope(|scope| {
            let sender = scope.spawn(|| send(near));
            let rate = receive(far, span);
            sender.join().map_err(|_| anyhow!("the sender broke"))?;
            rate
        })
    }
}

/// Sends until nobody takes it any more.
fn send(mut near: TcpStream) {
    let piece = vec![b'x'; PIECE];
    while near.write_all(&piece).is_ok() {}
}

/// Counts what comes in a time; the connection ends then.
fn receive(mut far: TcpStream, span: Duration) -> Result<f64> {
    let mut piece = vec![0; PIECE];
    let mut take = |until: Duration| -> Result<f64> {
        let (begun, mut count) = (Instant::now(), 0_u64);
        loop {
            let length = far.read(&mut piece).context("nothing arrives")?;
            if length == 0 {
                return Err(anyhow!("the sender gave up"));
            }
            count += length as u64;
            let took = begun.elapsed();
            if took >= until {
                #[expect(clippy::cast_precision_loss, reason = "a rate is no exact number")]
                return Ok(count as f64 / took.as_secs_f64());
            }
        }
    };
    take(BEFORE)?;
    take(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_what_was_sent() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        // 1,000 bytes each 10 ms: about 100,000 a second, and never more than a machine without a pause would send.
        let sender = thread::spawn(move || {
            while near.write_all(&[0; 1000]).is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let rate = receive(far, Duration::from_millis(300)).unwrap();
        sender.join().unwrap();
        assert!(rate > 1000.0 && rate < 120_000.0, "{rate}");
    }
}
