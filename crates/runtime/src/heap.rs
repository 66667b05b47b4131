//! The heap of a program that starts something, and then stays with it.
//!
//! A start makes a thousand small things in two milliseconds, and most of them are of no use when it is done. An allocator
//! for everybody asks the kernel for each page of them and gives it back, which is a hundred calls on the way to a command
//! (ADR 44). Here they lie one behind the other in an arena, and nothing is looked for. When the start is done (`close`), what is
//! made from then on is the C library's; and when there is nothing better to do (`settle`), every page on which nothing is left goes
//! back to the kernel.
//!
//! *Invariant:* where the next thing goes is only ever moved by an exchange with what was seen there, so that any thread may take
//! and give back; the pages of a place are counted before it is taken. Where the place is the last one, nothing lies behind it.

use rustix::mm::{Advice, madvise};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

/// Bytes of a page, as things are counted here. Where the kernel's are larger, only whole ones of those go back to it.
const PAGE: usize = 4096;
/// Pages of the arena. A usual start takes fifty; for what one with a thousand published ports takes besides there is the C library's.
const PAGES: usize = 64;
/// What is larger is a buffer, whose pages nobody may ever touch.
const LARGEST: usize = 4 * PAGE;
/// In place of where the next thing goes: nothing goes there any more, or yet. An arena that is all zero takes no place in the
/// program's file.
const CLOSED: usize = 0;
/// Where the first thing goes.
const FIRST: usize = 16;

/// The allocator: `#[global_allocator]` of a program that calls [`entry::run`](crate::entry::run).
pub struct LaunchHeap;

static ARENA: Arena = Arena::new();

/// Begins to use the arena.
pub(crate) fn open() {
    ARENA.open();
}

/// The start is done: what is left of it stays where it is.
pub(crate) fn close() {
    ARENA.close();
}

/// Gives back what nothing is left on. In a program with another allocator, and where the arena was never open, that is nothing.
pub(crate) fn settle() {
    ARENA.close();
    ARENA.settle();
}

// SAFETY: what comes from the arena is its caller's alone until it is given back, has the size and the place that the layout
// asks for, and stays; everything else is the system allocator's, whose promises are passed on. Nothing here panics.
unsafe impl GlobalAlloc for LaunchHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise: the size is not zero.
        ARENA.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match ARENA.take(layout) {
            Some(place) => {
                // SAFETY: as many bytes were just taken. They may have been somebody's before.
                unsafe { place.write_bytes(0, layout.size()) };
                place
            }
            // SAFETY: the caller's promise.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        match ARENA.position(place) {
            Some(at) => ARENA.give_back(at, layout.size()),
            // SAFETY: the caller's promise, and what is not in the arena is the system's.
            None => unsafe { System.dealloc(place, layout) },
        }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(at) = ARENA.position(place) else {
            // SAFETY: as in `dealloc`.
            return unsafe { System.realloc(place, layout, size) };
        };
        if ARENA.stretch(at, layout.size(), size) {
            return place;
        }
        // SAFETY: the caller promises that the size is not zero and fits with this alignment; the two do not overlap, for both
        // are in use, and the smaller one's bytes are copied.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(place, layout.size().min(size));
                self.dealloc(place, layout);
            }
            new
        }
    }
}

/// Things one behind the other.
#[repr(C, align(4096))]
struct Arena {
    bytes: UnsafeCell<[u8; PAGES * PAGE]>,
    /// Where the next one goes.
    next: AtomicUsize,
    /// Where they ended when it was closed.
    end: AtomicUsize,
    /// How many of them touch each page.
    users: [AtomicU16; PAGES],
}

// SAFETY: the bytes are only ever reached through the places that `take` gives out, each to one owner.
unsafe impl Sync for Arena {}

impl Arena {
    const fn new() -> Self {
        Self {
            bytes: UnsafeCell::new([0; PAGES * PAGE]),
            next: AtomicUsize::new(CLOSED),
            end: AtomicUsize::new(0),
            users: [const { AtomicU16::new(0) }; PAGES],
        }
    }

    fn open(&self) {
        self.moved(CLOSED, FIRST);
    }

    fn close(&self) {
        let end = self.next.swap(CLOSED, Ordering::AcqRel);
        if end != CLOSED {
            self.end.store(end, Ordering::Relaxed);
        }
    }

    /// Once it is closed.
    fn settle(&self) {
        let used = self.end.load(Ordering::Relaxed).div_ceil(PAGE);
        let mut first = None;
        for page in 0..used {
            let is_free = self.users[page].load(Ordering::Acquire) == 0;
            match first {
                None if is_free => first = Some(page),
                Some(begin) if !is_free => {
                    self.forget(begin..page);
                    first = None;
                }
                _ => {}
            }
        }
        self.forget(first.unwrap_or(used)..used);
    }

    /// Where the next one goes is now there instead. False where somebody else was faster.
    fn moved(&self, from: usize, to: usize) -> bool {
        self.next.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// A place for one more; `None` where it has to go elsewhere.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        if layout.size() > LARGEST || layout.align() > PAGE {
            return None;
        }
        loop {
            let next = self.next.load(Ordering::Relaxed);
            let at = next.next_multiple_of(layout.align());
            let end = at + layout.size();
            if next == CLOSED || end > PAGES * PAGE {
                return None;
            }
            self.count(at, end);
            if self.moved(next, end) {
                // SAFETY: the end, and so the place, is within the arena.
                return Some(unsafe { self.bytes.get().cast::<u8>().add(at) });
            }
            self.discount(at, end);
        }
    }

    fn count(&self, at: usize, end: usize) {
        for page in pages(at, end) {
            self.users[page].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn discount(&self, at: usize, end: usize) {
        for page in pages(at, end) {
            self.users[page].fetch_sub(1, Ordering::Release);
        }
    }

    /// Where in the arena something lies; `None` for what lies elsewhere.
    fn position(&self, place: *mut u8) -> Option<usize> {
        let at = place.addr().wrapping_sub(self.bytes.get().addr());
        (at < PAGES * PAGE).then_some(at)
    }

    fn give_back(&self, at: usize, size: usize) {
        self.discount(at, at + size);
        // The last one leaves its place to the next.
        self.moved(at + size, at);
    }

    /// Makes the last one longer or shorter. False where it is not the last, or there is no room.
    fn stretch(&self, at: usize, size: usize, new: usize) -> bool {
        if new > LARGEST || at + new > PAGES * PAGE {
            return false;
        }
        self.count(at, at + new);
        let is_last = self.moved(at + size, at + new);
        self.discount(at, at + if is_last { size } else { new });
        is_last
    }

    /// Nobody uses these pages, and nobody will.
    fn forget(&self, unused: Range<usize>) {
        let arena = self.bytes.get().cast::<u8>();
        let whole = whole_pages(arena.addr(), unused, rustix::param::page_size());
        if whole.is_empty() {
            return;
        }
        // SAFETY: the pages are the kernel's and within the arena, and nothing on them is anybody's. They stay mapped. Where the
        // kernel will not, the memory stays as well.
        let _ = unsafe { madvise(arena.add(whole.start).cast(), whole.len(), Advice::LinuxDontNeed) };
    }
}

/// The bytes of an arena on these pages of ours that make up whole pages of the kernel's, which drops all of one or none.
fn whole_pages(arena: usize, pages: Range<usize>, size: usize) -> Range<usize> {
    let (begin, end) = (arena + pages.start * PAGE, arena + pages.end * PAGE);
    let (begin, end) = (begin.next_multiple_of(size), end / size * size);
    begin - arena..end.max(begin) - arena
}

/// The pages that something touches; it has at least one byte.
fn pages(at: usize, end: usize) -> RangeInclusive<usize> {
    at / PAGE..=(end - 1) / PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One for a test: it is too large for a stack.
    fn arena() -> &'static Arena {
        let arena = Box::leak(Box::new(Arena::new()));
        arena.open();
        arena
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    fn fill(place: *mut u8, size: usize, with: u8) {
        // SAFETY: as many bytes were taken.
        unsafe { place.write_bytes(with, size) };
    }

    fn holds(place: *mut u8, size: usize, what: u8) -> bool {
        // SAFETY: as many bytes were taken, and are written.
        unsafe { std::slice::from_raw_parts(place, size) }.iter().all(|byte| *byte == what)
    }

    #[test]
    fn pure_of_larger_pages_only_whole_ones_go_back() {
        assert_eq!(whole_pages(0x1000, 2..5, 0x1000), 0x2000..0x5000);
        // Of 16 KiB each: the arena begins within one.
        assert_eq!(whole_pages(0x1_1000, 0..64, 0x4000), 0x3000..0x3_f000);
        assert_eq!(whole_pages(0x1_1000, 3..8, 0x4000), 0x3000..0x7000);
        assert!(whole_pages(0x1_1000, 3..4, 0x4000).is_empty());
        assert!(whole_pages(0x1_1000, 4..6, 0x4000).is_empty());
    }

    #[test]
    fn pure_nothing_goes_there_before_it_is_open_when_it_is_full_and_after_it_is_closed() {
        let shut = Box::leak(Box::new(Arena::new()));
        assert_eq!(shut.take(layout(8, 8)), None);
        let arena = arena();
        assert_eq!(arena.take(layout(LARGEST + 1, 1)), None);
        let whole = PAGES * PAGE / LARGEST;
        assert_eq!((0..=whole).filter_map(|_| arena.take(layout(LARGEST, 1))).count(), whole - 1);
        let done = self::arena();
        assert!(done.take(layout(8, 8)).is_some());
        done.close();
        assert_eq!(done.take(layout(8, 8)), None);
    }

    #[test]
    fn pure_each_has_its_place_and_the_last_one_leaves_it_and_grows() {
        let arena = arena();
        let places: Vec<_> =
            [(3, 1), (8, 8), (1, 1), (100, 64), (4000, 4096)].map(|(size, align)| layout(size, align)).into();
        let places: Vec<_> = places.into_iter().map(|layout| (arena.take(layout).unwrap(), layout)).collect();
        for (number, (place, layout)) in (1..).zip(&places) {
            assert_eq!(place.addr() % layout.align(), 0);
            fill(*place, layout.size(), number);
        }
        assert!((1..).zip(&places).all(|(number, (place, layout))| holds(*place, layout.size(), number)));
        let (last, at) = (places[4].0, arena.position(places[4].0).unwrap());
        assert!(!arena.stretch(arena.position(places[3].0).unwrap(), 100, 101), "it is not the last");
        assert!(arena.stretch(at, 4000, 9000) && holds(last, 4000, 5));
        assert_eq!([1, 2, 3, 4].map(|page| arena.users[page].load(Ordering::Relaxed)), [1, 1, 1, 0]);
        arena.give_back(at, 9000);
        assert_eq!(arena.users[1].load(Ordering::Relaxed), 0);
        assert_eq!(arena.take(layout(1, 1)), Some(last));
        let elsewhere = Box::new(0_u8);
        assert_eq!(arena.position((&raw const *elsewhere).cast_mut()), None);
    }

    #[test]
    fn pure_what_is_left_stays_and_pages_without_anybody_are_empty_once_it_is_settled() {
        let arena = arena();
        assert!(arena.take(layout(PAGE - FIRST, 1)).is_some());
        let places: Vec<_> = (0..60_u8).map(|_| arena.take(layout(PAGE / 2, 1)).unwrap()).collect();
        for (number, place) in (1..).zip(&places) {
            fill(*place, PAGE / 2, number);
        }
        let free = |number: usize| arena.give_back(arena.position(places[number]).unwrap(), PAGE / 2);
        // Of the 30 pages that follow, each with two, ten in the middle are nobody's, and of the others the second halves are
        // somebody's.
        (20..40).for_each(free);
        (0..20).chain(40..60).step_by(2).for_each(free);
        assert!(holds(places[25], PAGE / 2, 26), "not yet");
        arena.close();
        arena.settle();
        assert!((20..40).all(|number| holds(places[number], PAGE / 2, 0)));
        let left = |number: &usize| !number.is_multiple_of(2);
        for number in (0..20).chain(40..60).filter(left) {
            assert!(holds(places[number], PAGE / 2, number as u8 + 1), "{number}");
        }
        free(59);
        arena.settle();
        assert!(holds(places[59], PAGE / 2, 0) && holds(places[57], PAGE / 2, 58));
    }

    #[test]
    fn pure_many_threads_take_and_give_back_and_each_has_its_own() {
        let arena = arena();
        let work = |mark: u8| {
            for round in 0..20_000_usize {
                let (size, more) = (1 + round % 300, 1 + round % 500);
                let Some(place) = arena.take(layout(size, 8)) else { continue };
                fill(place, size, mark);
                let at = arena.position(place).unwrap();
                let size = if arena.stretch(at, size, more) { more } else { size };
                fill(place, size, mark);
                std::hint::spin_loop();
                assert!(holds(place, size, mark), "{mark} in round {round}");
                arena.give_back(at, size);
            }
        };
        std::thread::scope(|scope| (1..=4).for_each(|mark| drop(scope.spawn(move || work(mark)))));
        assert!(arena.users.iter().all(|users| users.load(Ordering::Relaxed) == 0));
    }

    /// Against a list of what is there, with numbers that look like chance.
    #[test]
    fn pure_nobody_meets_anybody_else() {
        let arena = arena();
        let mut state = 7_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let mut there: Vec<(*mut u8, usize, u8)> = Vec::new();
        for round in 0..5_000 {
            let mark = (round % 251) as u8;
            if there.len() < 40 && next(3) > 0 {
                let size = 1 + next(700);
                if let Some(place) = arena.take(layout(size, 1 << next(6))) {
                    fill(place, size, mark);
                    there.push((place, size, mark));
                }
            } else if let Some(index) = there.len().checked_sub(1).map(|last| last - next(2).min(last)) {
                let (place, size, mark) = there[index];
                let (at, new) = (arena.position(place).unwrap(), 1 + next(900));
                if next(2) > 0 && arena.stretch(at, size, new) {
                    assert!(holds(place, size.min(new), mark));
                    fill(place, new, mark);
                    there[index].1 = new;
                } else {
                    arena.give_back(at, size);
                    there.remove(index);
                }
            }
            assert!(there.iter().all(|(place, size, mark)| holds(*place, *size, *mark)), "round {round}");
        }
        for (place, size, _) in there {
            arena.give_back(arena.position(place).unwrap(), size);
        }
        assert!(arena.users.iter().all(|users| users.load(Ordering::Relaxed) == 0));
    }
}
