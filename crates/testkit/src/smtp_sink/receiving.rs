//! What comes after 354, and what becomes of it.

use super::conversation::{Conversation, Next, Scripted};
use super::record::{Decision, Event, Letter, Message, Verb, code, headers, monotonic_ns};
use super::script::{Act, At};
use super::wire::Body;
use super::words::hex;
use sha2::{Digest, Sha256};
use std::io;

impl Conversation {
    /// After 354: the body, and what becomes of it.
    pub(super) async fn receive(&mut self) -> io::Result<Next> {
        if !self.wire.anything().await? {
            return Ok(Next::Hang);
        }
        let begun = monotonic_ns();
        let extra_body = match self.scripted(At::Body, Verb::Unknown, begun, "body").await? {
            Scripted::Done(_) => {
                // The rest of the body is let in, so that the early answer is not lost to a reset.
                self.wire.until_closed().await;
                return Ok(Next::Hang);
            }
            Scripted::HangUp => return Ok(Next::Hang),
            Scripted::Behave(extra) => extra,
        };
        if let Some(line) = extra_body {
            self.wire.say(format!("{line}\r\n").as_bytes()).await?;
        }
        let Some(body) = self.wire.body(&self.shared.log).await? else { return Ok(Next::Hang) };
        let at_ns = monotonic_ns();
        // What came with it was written with it, however late it is looked at.
        self.wire.look();
        self.behind = self.wire.has_ahead().then_some(at_ns);
        if self.wire.has_ahead() && !self.shared.script.pipelining {
            self.shared.log.violation(|v| v.early += 1);
        }
        if !self.eight_bit && !body.data.is_ascii() {
            self.shared.log.violation(|v| v.eight_bit += 1);
        }
        self.end(at_ns, body).await
    }

    async fn end(&mut self, at_ns: u64, body: Body) -> io::Result<Next> {
        let recipient = self.to.clone().unwrap_or_default();
        let act = self.shared.rules.consult(At::Dot, &recipient);
        let (accept, reply) = match &act {
            None | Some(Act::Delay(_) | Act::Extra(_)) => (true, Some("250 2.0.0 queued".to_owned())),
            Some(Act::Reply(line)) => (line.starts_with('2'), Some(line.clone())),
            Some(Act::AcceptThenDrop) => (true, None),
            Some(Act::Drop | Act::Stall | Act::StallFor(_) | Act::Garbage | Act::LongLine) => (false, None),
        };
        if let Some(Act::Delay(time)) = act {
            tokio::time::sleep(time).await;
        }
        self.keep(at_ns, body, accept, reply.as_deref());
        (self.from, self.to) = (None, None);
        match (reply, act) {
            (Some(line), act) => {
                let extra = if let Some(Act::Extra(extra)) = act { Some(extra) } else { None };
                self.answer(&line, extra).await
            }
            (None, Some(act)) => self.misbehave(&act).await,
            (None, None) => Ok(Next::Hang),
        }
    }

    /// Writes the message down, if it is accepted, and the event.
    fn keep(&self, at_ns: u64, body: Body, accept: bool, reply: Option<&str>) {
        let sha256 = hex(&Sha256::digest(&body.data));
        let headers = headers(&body.data);
        let header = |wanted: &str| {
            let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let message_id = header("Message-ID").trim_matches(['<', '>']).to_owned();
        let (from, to) = (self.from.clone().unwrap_or_default(), self.to.clone().unwrap_or_default());
        let letter = Letter {
            from: from.clone(),
            to: to.clone(),
            subject: header("Subject"),
            unsubscribe: header("List-Unsubscribe").trim_matches(['<', '>']).to_owned(),
            sha256: sha256.clone(),
        };
        if accept {
            self.shared.log.message(Message {
                connection: self.number,
                from,
                to,
                message_id: message_id.clone(),
                sha256,
                data: body.data,
            });
        }
        self.shared.log.event(Event {
            at_ns,
            connection: self.number,
            verb: Verb::Dot,
            detail: message_id,
            letter: Some(letter),
            decision: if accept { Decision::Accepted } else { Decision::Refused },
            replied: reply.is_some(),
            behind: false,
            code: reply.filter(|_| !accept).and_then(code),
        });
    }
}
