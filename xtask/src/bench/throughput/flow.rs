//! Two connections over two ways, as fast as they go, by turns.
//!
//! What a machine gets done changes from one second to the next by more than what two ways differ. So both connections are open
//! at once, and one sends while the other rests, for some hundredths of a second each: whatever else happens, happens to both.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tinyd_tests::Machine;

/// What is written, and read, at once.
const PIECE: usize = 128 << 10;
/// A turn: so long is counted.
const TURN: Duration = Duration::from_millis(30);
/// What is not counted: a connection comes up to speed, the first time slowly.
const FIRST: Duration = Duration::from_millis(150);
const AGAIN: Duration = Duration::from_millis(6);
/// For whatever ought to happen at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose turn it is, besides 0 and 1: nobody's, for now and for good.
const NOBODY: usize = 2;
const END: usize = 3;

/// One way: where it begins, the address that is called, and where that is answered.
pub(super) struct Way<'a> {
    pub(super) from: &'a Machine,
    pub(super) called: &'static str,
    pub(super) to: &'a Machine,
    pub(super) port: u16,
}

/// A connection over one: who sends, and who receives.
struct Flow {
    near: TcpStream,
    far: TcpStream,
}

impl Way<'_> {
    fn open(&self) -> Result<Flow> {
        // A socket stays in the namespace that it was made in, whoever uses it.
        let listener = self.to.within(|| TcpListener::bind(("0.0.0.0", self.port)));
        let listener = listener.with_context(|| format!("cannot listen at port {}", self.port))?;
        let address: IpAddr = self.called.parse().context("no address")?;
        let called = SocketAddr::new(address, self.port);
        let near = self.from.within(|| TcpStream::connect_timeout(&called, PATIENCE));
        let near = near.with_context(|| format!("cannot connect to {called}"))?;
        near.set_write_timeout(Some(PATIENCE))?;
        let (far, _) = listener.accept().context("cannot accept")?;
        far.set_read_timeout(Some(PATIENCE))?;
        Ok(Flow { near, far })
    }
}

/// How many bytes a second arrive over each of two ways, of which each has so many turns; `first` has the first one.
pub(super) fn measure(ways: [&Way<'_>; 2], first: usize, turns: usize) -> Result<[f64; 2]> {
    let [one, other] = ways;
    let flows = [one.open()?, other.open()?];
    let (wanted, done) = (AtomicUsize::new(NOBODY), AtomicUsize::new(NOBODY));
    thread::scope(|scope| {
        let sender = scope.spawn(|| send(&flows, &wanted, &done));
        let rates = count(&flows, first, turns, &wanted, &done);
        wanted.store(END, Ordering::SeqCst);
        if rates.is_err() {
            // Nobody takes what it may just be sending.
            flows.iter().for_each(|flow| drop(flow.near.shutdown(std::net::Shutdown::Both)));
        }
        sender.join().map_err(|_| anyhow!("the sender broke"))?;
        rates
    })
}

/// Sends over the connection whose turn it is, and says which one that was.
fn send(flows: &[Flow; 2], wanted: &AtomicUsize, done: &AtomicUsize) {
    let piece = vec![b'x'; PIECE];
    loop {
        let turn = wanted.load(Ordering::SeqCst);
        done.store(turn, Ordering::SeqCst);
        match flows.get(turn) {
            Some(flow) => {
                if (&flow.near).write_all(&piece).is_err() {
                    return;
                }
            }
            None if turn == END => return,
            None => thread::yield_now(),
        }
    }
}

/// Gives turns, and counts what comes.
fn count(
    flows: &[Flow; 2],
    first: usize,
    turns: usize,
    wanted: &AtomicUsize,
    done: &AtomicUsize,
) -> Result<[f64; 2]> {
    let (mut bytes, mut seconds) = ([0_u64; 2], [0.0; 2]);
    let mut piece = vec![0; PIECE];
    for turn in 0..2 * turns {
        let index = (turn + first) % 2;
        let far = &flows[index].far;
        wanted.store(index, Ordering::SeqCst);
        take(far, &mut piece, if turn < 2 { FIRST } else { AGAIN })?;
        let (count, took) = take(far, &mut piece, TURN)?;
        bytes[index] += count;
        seconds[index] += took.as_secs_f64();
        wanted.store(NOBODY, Ordering::SeqCst);
        drain(far, &mut piece, done)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate is no exact number")]
    Ok([0, 1].map(|index| bytes[index] as f64 / seconds[index]))
}

/// Reads for a time: how much came, and how long that was exactly.
fn take(mut far: &TcpStream, piece: &mut [u8], until: Duration) -> Result<(u64, Duration)> {
    let (begun, mut count) = (Instant::now(), 0);
    loop {
        let length = far.read(piece).context("nothing arrives")?;
        if length == 0 {
            return Err(anyhow!("the sender gave up"));
        }
        count += length as u64;
        let took = begun.elapsed();
        if took >= until {
            return Ok((count, took));
        }
    }
}

/// Reads what is still under way when a turn ends, until the sender rests and nothing comes any more.
fn drain(mut far: &TcpStream, piece: &mut [u8], done: &AtomicUsize) -> Result<()> {
    far.set_nonblocking(true)?;
    let begun = Instant::now();
    loop {
        let rests = done.load(Ordering::SeqCst) == NOBODY;
        match far.read(piece) {
            Ok(0) => return Err(anyhow!("the sender gave up")),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if rests {
                    break;
                }
                thread::yield_now();
            }
            Err(error) => return Err(error).context("nothing arrives"),
        }
        if begun.elapsed() > PATIENCE {
            return Err(anyhow!("the sender does not rest"));
        }
    }
    Ok(far.set_nonblocking(false)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        far.set_read_timeout(Some(PATIENCE)).unwrap();
        Flow { near, far }
    }

    #[test]
    fn what_is_counted_is_what_was_sent() {
        let Flow { mut near, far } = flow();
        // 1,000 bytes each 10 ms: about 100,000 a second, and never more than a machine without a pause would send.
        let sender = thread::spawn(move || {
            while near.write_all(&[0; 1000]).is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let (count, took) = take(&far, &mut [0; PIECE], Duration::from_millis(300)).unwrap();
        drop(far);
        sender.join().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "it is small")]
        let rate = count as f64 / took.as_secs_f64();
        assert!(rate > 1000.0 && rate < 120_000.0, "{rate}");
    }

    #[test]
    fn one_rests_while_the_other_sends() {
        let flows = [flow(), flow()];
        let (wanted, done) = (AtomicUsize::new(NOBODY), AtomicUsize::new(NOBODY));
        thread::scope(|scope| {
            let sender = scope.spawn(|| send(&flows, &wanted, &done));
            let rates = count(&flows, 1, 2, &wanted, &done).unwrap();
            assert!(rates.iter().all(|rate| *rate > 0.0), "{rates:?}");
            // All that was sent was read, by both.
            for flow in &flows {
                flow.far.set_nonblocking(true).unwrap();
                let left = (&flow.far).read(&mut [0; 16]).map_err(|error| error.kind());
                assert_eq!(left, Err(ErrorKind::WouldBlock));
            }
            wanted.store(END, Ordering::SeqCst);
            sender.join().unwrap();
        });
    }
}
