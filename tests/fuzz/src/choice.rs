//! Turns bytes into choices, so that a fuzzer that changes one byte changes one choice.

/// The bytes that are left. When there are none, every choice is the first.
pub(crate) struct Choice<'bytes>(&'bytes [u8]);

impl<'bytes> Choice<'bytes> {
    pub(crate) fn new(bytes: &'bytes [u8]) -> Self {
        Self(bytes)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u8) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first % limit
    }

    /// One of several.
    pub(crate) fn of<Item: Copy>(&mut self, items: &[Item]) -> Item {
        let limit = u8::try_from(items.len()).unwrap();
        items[usize::from(self.below(limit))]
    }

    /// Fewer than `limit` of what `make` makes.
    pub(crate) fn some<Item>(&mut self, limit: u8, mut make: impl FnMut(&mut Self) -> Item) -> Vec<Item> {
        (0..self.below(limit)).map(|_| make(self)).collect()
    }
}
