//! What volume plugins answer over HTTP.

use tinyd_volume::fuzzing::{answer, understood};

/// Longest body that is taken, in bytes.
const MOST: usize = 4 << 20;

/// Longest complaint that is shown, in characters.
const SHOWN: usize = 1_000;

/// Reads an answer whole, in parts, and as the end of a connection.
pub fn plugin(data: &[u8]) {
    let at_the_end = answer(data, true);
    let so_far = answer(data, false);
    if let Ok(Some(whole)) = &so_far {
        assert_eq!(at_the_end.as_ref(), Ok(&Some(whole.clone())), "the end changes nothing of what is whole");
    }
    // However it arrives: what was whole once stays so, and what was wrong once too.
    for cut in [data.len() / 3, data.len() / 2, data.len().saturating_sub(1)] {
        match answer(&data[..cut], false) {
            Ok(Some(before)) => assert_eq!(so_far, Ok(Some(before))),
            Ok(None) => {}
            Err(_) => assert!(so_far.is_err(), "wrong at first, and right with more"),
        }
    }
    if let Ok(Some(answer)) = at_the_end {
        assert!(answer.body.len() <= MOST && (100..=999).contains(&answer.status));
        if let Err(told) = understood(&answer) {
            assert!(told.chars().count() <= SHOWN && !told.contains(char::is_control), "{told:?}");
        }
    }
}
