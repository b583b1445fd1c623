//! The lines of a journal: JSON, a tab, a checksum.

use muster_domain::model::delivery::Attempt;
use muster_domain::ports::transport::Phase;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, Write};

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// Format of the lines that follow.
    pub(super) version: u8,
    /// The boot it was written in.
    pub(super) boot: String,
}

impl Header {
    pub(super) fn new(boot: &str) -> Self {
        Self { version: 1, boot: boot.to_owned() }
    }
}

/// Any other line.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    attempt: Attempt,
    #[serde(flatten)]
    phase: &'a Phase,
}

#[derive(Debug, Deserialize)]
struct ReadEntry {
    attempt: Attempt,
    #[serde(flatten)]
    phase: Phase,
}

/// Appends the line for `header` to `buffer`.
pub(super) fn write_header(buffer: &mut Vec<u8>, header: &Header) -> io::Result<()> {
    write_line(buffer, header)
}

/// Appends the line for `attempt` and `phase` to `buffer`.
pub(super) fn write_entry(buffer: &mut Vec<u8>, attempt: Attempt, phase: &Phase) -> io::Result<()> {
    write_line(buffer, &Entry { attempt, phase })
}

fn write_line(buffer: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    let start = buffer.len();
    serde_json::to_writer(&mut *buffer, value)?;
    let sum = checksum(&buffer[start..]);
    writeln!(buffer, "\t{sum:08x}")
}

/// What a whole journal says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// The first line, unless it was torn.
    pub(super) header: Option<Header>,
    /// The last phase of every attempt that was not recorded, in the order in which they appeared.
    pub(super) unrecorded: Vec<(Attempt, Phase)>,
}

impl PartialEq<Contents> for Header {
    fn eq(&self, other: &Contents) -> bool {
        other.header.as_ref() == Some(self)
    }
}

/// Reads a journal. A last line without its end, or with a wrong checksum, was being written when its process died:
/// that write had not returned, so the phase was not reached, and the line is left out.
///
/// A broken line anywhere else hides phases that may have been reached. Every attempt that looks as if its dot had not
/// been written is then read as if it had: in doubt is a nuisance, a second mail is a broken promise.
pub(super) fn read(bytes: &[u8]) -> Contents {
    let mut lines: Vec<&[u8]> = bytes.split(|&b| b == b'\n').collect();
    // What follows the last line end: nothing, or a torn line.
    lines.pop();
    let Some((first, rest)) = lines.split_first() else { return Contents::default() };
    let header = parse::<Header>(first).filter(|header| header.version == 1);

    let mut last = HashMap::new();
    let mut order = Vec::new();
    let mut damaged = false;
    for (n, line) in rest.iter().enumerate() {
        let Some(ReadEntry { attempt, phase }) = parse::<ReadEntry>(line) else {
            damaged |= n + 1 < rest.len();
            continue;
        };
        if phase == Phase::Recorded {
            last.remove(&attempt);
        } else if last.insert(attempt, phase).is_none() {
            order.push(attempt);
        }
    }
    let unrecorded = order
        .into_iter()
        .filter_map(|attempt| last.remove(&attempt).map(|phase| (attempt, phase)))
        .map(|(attempt, phase)| if damaged && phase == Phase::Begun { (attempt, Phase::Dot) } else { (attempt, phase) })
        .collect();
    Contents { header, unrecorded }
}

fn parse<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Option<T> {
    let tab = line.iter().rposition(|&b| b == b'\t')?;
    let (json, sum) = (&line[..tab], std::str::from_utf8(&line[tab + 1..]).ok()?);
    (sum.len() == 8 && u32::from_str_radix(sum, 16).ok()? == checksum(json)).then_some(())?;
    serde_json::from_slice(json).ok()
}

/// FNV-1a: tells a torn or overwritten line from a whole one; nobody forges journals.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use muster_domain::model::delivery::{DeliveryKey, Epoch, SendOutcome};
    use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};

    pub(in crate::journal) fn attempt(contact: i64) -> Attempt {
        let key = DeliveryKey {
            tenant: TenantNo(1),
            campaign: CampaignNo(7),
            contact: ContactNo(contact),
            step: StepNo(2),
            pass: Pass(3),
        };
        Attempt { key, epoch: Epoch(4) }
    }

    pub(in crate::journal) fn replied() -> Phase {
        Phase::Replied { outcome: SendOutcome::Sent { reply: "250 ok\tqueued\nas 1".into() } }
    }

    fn journal(entries: &[(i64, Phase)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_header(&mut bytes, &Header::new("boot")).unwrap();
        for (contact, phase) in entries {
            write_entry(&mut bytes, attempt(*contact), phase).unwrap();
        }
        bytes
    }

    #[test]
    fn the_last_phase_of_each_open_attempt_is_read_back() {
        let bytes = journal(&[
            (1, Phase::Begun),
            (2, Phase::Begun),
            (3, Phase::Begun),
            (1, Phase::Dot),
            (3, Phase::Dot),
            (1, replied()),
            (3, replied()),
            (3, Phase::Recorded),
        ]);
        let contents = read(&bytes);
        assert_eq!(contents.header, Some(Header::new("boot")));
        assert_eq!(contents.unrecorded, [(attempt(1), replied()), (attempt(2), Phase::Begun)]);
    }

    #[test]
    fn an_attempt_recorded_and_begun_again_is_open() {
        let bytes = journal(&[(1, Phase::Begun), (1, Phase::Recorded), (1, Phase::Begun)]);
        assert_eq!(read(&bytes).unrecorded, [(attempt(1), Phase::Begun)]);
    }

    #[test]
    fn wherever_the_file_ends_the_lines_before_it_stand() {
        let bytes = journal(&[(1, Phase::Begun), (1, Phase::Dot)]);
        let dot_from = bytes[..bytes.len() - 1].iter().rposition(|&b| b == b'\n').unwrap() + 1;
        for end in dot_from..bytes.len() {
            assert_eq!(read(&bytes[..end]).unrecorded, [(attempt(1), Phase::Begun)], "cut at {end}");
        }
        for end in 0..bytes.len() {
            let _ = read(&bytes[..end]);
        }
    }

    #[test]
    fn a_line_broken_in_the_middle_makes_its_neighbours_doubtful() {
        let mut bytes = journal(&[(1, Phase::Begun), (2, Phase::Begun), (1, Phase::Dot), (2, Phase::Begun)]);
        let broken = bytes.windows(5).position(|w| w == b"\"dot\"").unwrap();
        bytes[broken + 1] = b'x';
        assert_eq!(read(&bytes).unrecorded, [(attempt(1), Phase::Dot), (attempt(2), Phase::Dot)]);
    }
}
