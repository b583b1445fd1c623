//! `AUTH PLAIN` and `AUTH LOGIN`.

use super::conversation::{Conversation, Next};
use super::record::Verb;
use super::words::decode;
use std::io;

impl Conversation {
    pub(super) async fn auth(&mut self, argument: &str, at_ns: u64, extra: Option<String>) -> io::Result<Next> {
        let account = self.shared.script.account.clone();
        let given = match argument.split_once(' ') {
            Some((mechanism, token)) if mechanism.eq_ignore_ascii_case("PLAIN") => {
                let decoded = decode(token.as_bytes());
                let mut parts = decoded.split('\0').skip(1).map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            None if argument.eq_ignore_ascii_case("LOGIN") => {
                let user = self.ask("334 VXNlcm5hbWU6").await?;
                (user, self.ask("334 UGFzc3dvcmQ6").await?)
            }
            _ => Default::default(),
        };
        let right = given == account;
        let reply = if right { "235 2.7.0 welcome" } else { "535 5.7.8 wrong" };
        if right {
            self.accept(Verb::Auth, at_ns, "");
        } else {
            self.refuse(Verb::Auth, at_ns, "", Some(reply));
        }
        self.answer(reply, extra).await
    }

    async fn ask(&mut self, question: &str) -> io::Result<String> {
        self.answer(question, None).await?;
        Ok(decode(&self.wire.line(&self.shared.log).await?.unwrap_or_default()))
    }
}
