//! `run`: creates and starts a container, and stays with it unless it is to go on alone.

use super::notify::Relay;
use super::options::{Rest, parse};
use super::{Context, Problem, create, delete, foreground, start};

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let parsed = parse(create::FLAGS, words, Rest::Mixed)?;
    let (detached, keep) = (parsed.has("detach"), parsed.has("keep"));
    let wanted = create::Wanted::of("run", &parsed)?;
    if !detached {
        foreground::hold_signals();
    }
    let mut made = create::make(context, &wanted, !detached)?;
    let relay = Relay::of(&made.container)?;
    start::start(&made.container, &made.bundle)?;
    if detached {
        made.keep();
        relay.map_or(Ok(()), |relay| relay.wait())?;
        return Ok(0);
    }
    let terminal = made.running.terminal.take();
    let code = foreground::stay(
        &made.running.child.pidfd,
        terminal.as_ref(),
        std::mem::take(&mut made.ways),
        relay,
    )?;
    if keep {
        made.keep();
        return Ok(code);
    }
    made.kept = true;
    made.running.keep();
    delete::destroy(&made.container)?;
    Ok(code)
}
