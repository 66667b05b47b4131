//! What was done, to be undone in reverse when a later step fails.

/// A stack of steps back. Dropping it takes them, unless it was [committed](Undo::commit).
#[derive(Default)]
pub(crate) struct Undo<'a>(Vec<Box<dyn FnOnce() + 'a>>);

impl<'a> Undo<'a> {
    /// To be called right after the effect. A step back must not fail loudly: it does what can be done.
    pub(crate) fn push(&mut self, step: impl FnOnce() + 'a) {
        self.0.push(Box::new(step));
    }

    /// Everything succeeded: nothing is undone.
    pub(crate) fn commit(mut self) {
        self.0.clear();
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        while let Some(step) = self.0.pop() {
            step();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn steps_are_taken_back_in_reverse_unless_committed() {
        let log = RefCell::new(Vec::new());
        let mut undo = Undo::default();
        undo.push(|| log.borrow_mut().push(1));
        undo.push(|| log.borrow_mut().push(2));
        drop(undo);
        let mut undo = Undo::default();
        undo.push(|| log.borrow_mut().push(3));
        undo.commit();
        assert_eq!(log.into_inner(), [2, 1]);
    }
}
