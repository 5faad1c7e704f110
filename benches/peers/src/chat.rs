//! Messages of a chat as JSON, for what compresses: unlike a text that is repeated, no two are the same.
//!
//! The same ones each time, so that runs can be compared, and for everyone: other languages get them from
//! `wsframe-bench chat`.

use std::fmt::Write as _;
use std::io::Write as _;

const ROOMS: [&str; 6] = ["garden", "kitchen", "support", "release", "music", "travel"];
const USERS: [&str; 16] = [
    "maria", "jonas", "aiko", "pedro", "fatima", "olga", "liam", "chen", "noor", "ivan", "zoe", "tomás", "ruth", "sam",
    "björn", "ada",
];
/// The first ones are said the most.
const WORDS: [&str; 128] = [
    "the",
    "to",
    "I",
    "and",
    "you",
    "a",
    "it",
    "is",
    "that",
    "we",
    "in",
    "for",
    "on",
    "this",
    "have",
    "not",
    "with",
    "be",
    "can",
    "do",
    "but",
    "what",
    "just",
    "so",
    "are",
    "at",
    "my",
    "if",
    "was",
    "there",
    "no",
    "yes",
    "when",
    "will",
    "now",
    "one",
    "all",
    "from",
    "about",
    "how",
    "here",
    "know",
    "think",
    "like",
    "get",
    "good",
    "time",
    "they",
    "would",
    "see",
    "thanks",
    "me",
    "your",
    "or",
    "up",
    "out",
    "any",
    "some",
    "who",
    "more",
    "then",
    "still",
    "today",
    "work",
    "need",
    "make",
    "again",
    "back",
    "tomorrow",
    "sure",
    "really",
    "maybe",
    "great",
    "only",
    "after",
    "before",
    "also",
    "look",
    "same",
    "right",
    "new",
    "server",
    "message",
    "please",
    "never",
    "people",
    "week",
    "where",
    "off",
    "train",
    "coffee",
    "meeting",
    "because",
    "photo",
    "later",
    "house",
    "could",
    "wrong",
    "build",
    "version",
    "fixed",
    "answer",
    "question",
    "weather",
    "rain",
    "https://example.org/",
    "friday",
    "dinner",
    "café",
    "Grüße",
    "🙂",
    "👍",
    "birthday",
    "window",
    "between",
    "problem",
    "together",
    "beautiful",
    "somebody",
    "yesterday",
    "deploy",
    "minutes",
    "branch",
    "evening",
    "music",
    "bicycle",
    "holiday",
    "finally",
];

/// Messages of exactly `len` bytes. Without an end they repeat, but further apart than any window reaches.
pub fn messages(len: usize) -> Vec<Vec<u8>> {
    const ALL: usize = 256 << 10;
    let mut chat = Chat { random: 0x9e37_79b9_7f4a_7c15, id: 100_000 };
    let one = |_| if len < 10 << 10 { chat.message(len) } else { chat.history(len) };
    (0..(ALL / len).max(8)).map(one).map(String::into_bytes).collect()
}

/// Prints the messages of each length in bytes, one in a line.
pub fn print(lengths: impl Iterator<Item = String>) {
    let mut out = std::io::stdout().lock();
    for len in lengths {
        for message in messages(len.parse().expect("a length")) {
            out.write_all(&message).and_then(|()| out.write_all(b"\n")).expect("somebody reads");
        }
    }
}

struct Chat {
    random: u64,
    id: usize,
}

impl Chat {
    /// What somebody said.
    fn message(&mut self, len: usize) -> String {
        self.id += 1 + self.below(3);
        let (room, user) = (ROOMS[self.below(ROOMS.len())], USERS[self.below(USERS.len())]);
        let mut json = format!(r#"{{"id":{},"room":"{room}","user":"{user}","text":""#, self.id);
        self.say(&mut json, len - 2);
        json.push_str("\"}");
        json
    }

    /// What a client gets that comes into a room.
    fn history(&mut self, len: usize) -> String {
        let mut json = String::from(r#"{"type":"history","messages":["#);
        loop {
            let left = len - 2 - json.len();
            let one = 90 + self.below(200);
            // The last one fills it up.
            let is_last = left < one + 100;
            json.push_str(&self.message(if is_last { left } else { one }));
            json.push_str(if is_last { "]}" } else { "," });
            if is_last {
                return json;
            }
        }
    }

    /// Words up to the length, and a few dots where the next one does not fit.
    fn say(&mut self, json: &mut String, len: usize) {
        loop {
            // The product of two is small more often than not.
            let word = WORDS[self.below(WORDS.len()) * self.below(WORDS.len()) / WORDS.len()];
            if json.len() + word.len() + 1 > len {
                break;
            }
            write!(json, "{word} ").expect("a string takes all");
        }
        json.extend(std::iter::repeat_n('.', len - json.len()));
    }

    /// A number below `end`, by Marsaglia's xorshift.
    fn below(&mut self, end: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as usize % end
    }
}
