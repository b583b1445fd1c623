//! What contacts did with mails, as conditions.
//!
//! Nobody's doing but people's: lines of `engagements` keep when a person was last seen. With a campaign, both the lines and the
//! mails are found by their keys; without one, both have an index by contact, which for mails holds those that were sent.

use crate::postgres::statement::{Bind, Statement};
use muster_domain::model::ids::{CampaignNo, LinkNo};
use muster_domain::model::rules::Engaged;
use muster_domain::ports::store::Workspace;

/// Goes on with whether the contact `contact`, of the tenant `tenant` (both columns), has done it. Mails of `own` are meant
/// where the question names neither campaign nor step.
pub(crate) fn push_engaged(
    statement: &mut Statement,
    of: Workspace,
    own: Option<CampaignNo>,
    (tenant, contact): (&str, &str),
    question: &Engaged,
) {
    let seen = if let Some(kind) = question.did.event() {
        statement.push("EXISTS (SELECT FROM engagements e WHERE e.last_human_at IS NOT NULL AND e.kind = ");
        statement.bind(Bind::Text(char::from(kind.code()).to_string())).push("::text::\"char\" AND e.link = ");
        statement.bind(Bind::BigInt(question.link.unwrap_or(LinkNo(0)).0));
        "e.last_human_at"
    } else {
        statement.push("EXISTS (SELECT FROM messages e WHERE e.state = 's'");
        "e.ended_at"
    };
    statement.push(" AND e.tenant_no = ").push(tenant).push(" AND e.contact_no = ").push(contact);
    push_mail(statement, of, own, question);
    if let Some(days) = question.within_days {
        statement
            .push(" AND ")
            .push(seen)
            .push(" >= (SELECT muster_now()) - ")
            .bind(Bind::Int(days))
            .push(" * interval '1 day'");
    }
    statement.push(")");
}

/// Of which campaign and step, by their ids within the workspace: another one's are of nobody.
fn push_mail(statement: &mut Statement, of: Workspace, own: Option<CampaignNo>, question: &Engaged) {
    if let Some(id) = question.campaign {
        statement.push(" AND e.campaign_no = (SELECT campaign_no FROM campaigns WHERE tenant_no = ");
        statement.bind(Bind::Int(of.tenant.0)).push(" AND workspace_no = ").bind(Bind::Int(of.workspace.0));
        statement.push(" AND id = ").bind(Bind::Uuid(id.0)).push(")");
    } else if let (Some(own), None) = (own, question.step) {
        statement.push(" AND e.campaign_no = ").bind(Bind::Int(own.0));
    }
    if let Some(id) = question.step {
        for column in ["campaign_no", "step"] {
            statement.push(" AND e.").push(column).push(" = (SELECT s.").push(column);
            statement
                .push(" FROM campaign_steps s JOIN campaigns g USING (tenant_no, campaign_no) WHERE s.tenant_no = ");
            statement.bind(Bind::Int(of.tenant.0)).push(" AND g.workspace_no = ").bind(Bind::Int(of.workspace.0));
            statement.push(" AND s.id = ").bind(Bind::Uuid(id.0)).push(")");
        }
    }
}
