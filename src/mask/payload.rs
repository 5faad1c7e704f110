//! Where the bytes of a payload come from, and where they go.

#![forbid(unsafe_code)]

use std::mem::MaybeUninit;

/// A payload, read and written in groups of `K` vectors of `N` bytes, at any place and in any order.
pub(super) trait Payload {
    /// How many bytes it has.
    fn len(&self) -> usize;

    /// The address that its bytes are written to.
    fn address(&self) -> usize;

    /// The group at `at`; `None` if it reaches beyond the end.
    fn read<const N: usize, const K: usize>(&self, at: usize) -> Option<&[[u8; N]; K]>;

    /// Writes the group at `at`, at which one could be read.
    fn write<const N: usize, const K: usize>(&mut self, at: usize, group: [[u8; N]; K]);
}

/// A payload that stays where it is.
impl Payload for &mut [u8] {
    #[inline(always)]
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    #[inline(always)]
    fn address(&self) -> usize {
        self.as_ptr().addr()
    }

    #[inline(always)]
    fn read<const N: usize, const K: usize>(&self, at: usize) -> Option<&[[u8; N]; K]> {
        self.get(at..)?.as_chunks().0.first_chunk()
    }

    #[inline(always)]
    fn write<const N: usize, const K: usize>(&mut self, at: usize, group: [[u8; N]; K]) {
        if let Some(place) = self.get_mut(at..).and_then(|rest| rest.as_chunks_mut().0.first_chunk_mut()) {
            *place = group;
        }
    }
}

/// A payload that is only looked at.
impl Payload for &[u8] {
    #[inline(always)]
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    #[inline(always)]
    fn address(&self) -> usize {
        self.as_ptr().addr()
    }

    #[inline(always)]
    fn read<const N: usize, const K: usize>(&self, at: usize) -> Option<&[[u8; N]; K]> {
        self.get(at..)?.as_chunks().0.first_chunk()
    }

    #[inline(always)]
    fn write<const N: usize, const K: usize>(&mut self, _: usize, _: [[u8; N]; K]) {}
}

/// A payload that goes to another place.
pub(super) struct Copied<'a, B> {
    input: &'a [u8],
    /// As long as `input`.
    out: &'a mut [B],
}

impl<'a, B> Copied<'a, B> {
    /// `None` if the two differ in length.
    #[inline(always)]
    pub(super) const fn new(input: &'a [u8], out: &'a mut [B]) -> Option<Self> {
        if input.len() == out.len() { Some(Self { input, out }) } else { None }
    }
}

impl<B: Byte> Payload for Copied<'_, B> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.input.len()
    }

    #[inline(always)]
    fn address(&self) -> usize {
        self.out.as_ptr().addr()
    }

    #[inline(always)]
    fn read<const N: usize, const K: usize>(&self, at: usize) -> Option<&[[u8; N]; K]> {
        self.input.get(at..)?.as_chunks().0.first_chunk()
    }

    #[inline(always)]
    fn write<const N: usize, const K: usize>(&mut self, at: usize, group: [[u8; N]; K]) {
        if let Some(place) = self.out.get_mut(at..).and_then(|rest| rest.as_chunks_mut().0.first_chunk_mut()) {
            *place = group.map(B::from_bytes);
        }
    }
}

/// A byte that can be written: one that has a value, or none yet.
pub(super) trait Byte: Copy {
    fn from_bytes<const N: usize>(bytes: [u8; N]) -> [Self; N];
}

impl Byte for u8 {
    #[inline(always)]
    fn from_bytes<const N: usize>(bytes: [u8; N]) -> [Self; N] {
        bytes
    }
}

impl Byte for MaybeUninit<u8> {
    #[inline(always)]
    fn from_bytes<const N: usize>(bytes: [u8; N]) -> [Self; N] {
        bytes.map(Self::new)
    }
}
