//! The measuring loop. The contestants of a case take turns, round by round, so that noise on the machine hits all alike;
//! what is reported of each are its rounds, from which `benches/run.py` takes medians and ratios.
//!
//! Every line on standard output is a JSON object, as `benches/run.py` describes them.

use std::time::{Duration, Instant};

const ROUNDS: usize = 51;
/// How long one contestant's turn in a round takes, about.
const TURN: Duration = Duration::from_millis(3);

/// Some cases that answer one question.
pub struct Section {
    name: &'static str,
}

impl Section {
    /// `about` says what is measured, in whole sentences.
    pub fn begin(name: &'static str, title: &str, about: &str) -> Self {
        Self::begin_any(name, title, about, true)
    }

    /// One that does not compare the contestants of a case.
    pub fn begin_without_ratios(name: &'static str, title: &str, about: &str) -> Self {
        Self::begin_any(name, title, about, false)
    }

    fn begin_any(name: &'static str, title: &str, about: &str, ratios: bool) -> Self {
        println!(r#"{{"section":{name:?},"title":{title:?},"about":{about:?},"ratios":{ratios}}}"#);
        Self { name }
    }

    /// Reports what was found in another way, in bytes.
    pub fn report_bytes(&self, case: &str, contestant: &str, bytes: f64) {
        println!(
            r#"{{"section":{:?},"case":{case:?},"contestant":{contestant:?},"unit":"B","rounds":[{bytes:.1}]}}"#,
            self.name
        );
    }

    /// A case, whose contestants do the same work. A call of one does `units` of it, and the time of one unit is reported.
    pub fn case<'a>(&self, name: impl Into<String>, units: usize) -> Case<'a> {
        Case { section: self.name, name: name.into(), units: units as f64, contestants: Vec::new(), overhead: None }
    }
}

/// What is to be done, and those who do it.
pub struct Case<'a> {
    section: &'static str,
    name: String,
    units: f64,
    contestants: Vec<Contestant<'a>>,
    /// Which of them is subtracted from the others.
    overhead: Option<usize>,
}

struct Contestant<'a> {
    name: &'static str,
    /// Works so many times, and returns how long that took.
    work: Box<dyn FnMut(u32) -> Duration + 'a>,
    /// How often it works in one turn.
    times: u32,
    /// The nanoseconds that one unit took, in each round.
    rounds: Vec<f64>,
}

impl<'a> Case<'a> {
    /// Adds a contestant. The first one is ours, to which the others are compared.
    pub fn add(&mut self, name: &'static str, mut work: impl FnMut() + 'a) {
        let work = Box::new(move |times| {
            let start = Instant::now();
            for _ in 0..times {
                work();
            }
            start.elapsed()
        });
        self.contestants.push(Contestant { name, work, times: 1, rounds: Vec::new() });
    }

    /// As `add`, for what is part of all the others' work but not of the question: its time is subtracted from theirs.
    pub fn add_overhead(&mut self, name: &'static str, work: impl FnMut() + 'a) {
        self.overhead = Some(self.contestants.len());
        self.add(name, work);
    }

    /// Lets them all take their turns, and reports.
    pub fn run(mut self) {
        self.contestants.iter_mut().for_each(Contestant::calibrate);
        for _ in 0..ROUNDS {
            for contestant in &mut self.contestants {
                contestant.take_turn(self.units);
            }
        }
        self.subtract_overhead();
        for Contestant { name, rounds, .. } in &self.contestants {
            println!(
                r#"{{"section":{:?},"case":{:?},"contestant":{name:?},"unit":"ns","rounds":{rounds:.3?}}}"#,
                self.section, self.name
            );
        }
    }
}

impl Case<'_> {
    fn subtract_overhead(&mut self) {
        let Some(overhead) = self.overhead.map(|at| self.contestants[at].rounds.clone()) else { return };
        for (_, contestant) in self.contestants.iter_mut().enumerate().filter(|(at, _)| Some(*at) != self.overhead) {
            contestant.rounds.iter_mut().zip(&overhead).for_each(|(round, overhead)| *round -= overhead);
        }
    }
}

impl Contestant<'_> {
    /// Finds out how often it works in one turn; that also warms it up.
    fn calibrate(&mut self) {
        loop {
            let took = (self.work)(self.times);
            if took >= TURN / 4 || self.times > u32::MAX / 8 {
                let one = took.as_nanos() as f64 / f64::from(self.times);
                self.times = (TURN.as_nanos() as f64 / one).ceil() as u32;
                return;
            }
            self.times *= 2;
        }
    }

    fn take_turn(&mut self, units: f64) {
        let took = (self.work)(self.times);
        self.rounds.push(took.as_nanos() as f64 / f64::from(self.times) / units);
    }
}
