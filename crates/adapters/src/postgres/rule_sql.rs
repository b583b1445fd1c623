//! Rules and segments as conditions over `contacts c`.
//!
//! To embed the members of a segment in a statement of your own:
//!
//! ```text
//! let mut statement = Statement::new("INSERT INTO … SELECT c.contact_no, ");
//! statement.bind(Bind::Instant(now)).push(" FROM contacts c WHERE ");
//! push_members(&mut statement, workspace, Members::Matching(&rules));
//! statement.push(" AND c.contact_no > ").bind(Bind::BigInt(cursor));
//! statement.push(" AND c.contact_no <= ").bind(Bind::BigInt(mark));
//! statement.push(" ORDER BY c.contact_no LIMIT ").bind(Bind::BigInt(1000));
//! statement.into_query().execute(conn).await.store()?;
//! ```
//!
//! [`select_members`] is the same as a plain SELECT. What is pushed is one conjunction that names the tenant and the
//! workspace and leaves erased contacts out. It means exactly what [`Rule::holds`] says, which a differential test
//! compares; every piece of it is true or false, never null, so that NOT is the opposite.
//!
//! Tags and custom fields are asked for with a correlated EXISTS: it becomes a join by index where it stands alone, and
//! costs one look-up a contact, never a list in memory, where it stands below OR or NOT.

mod engaged;

pub(crate) use engaged::push_engaged;

use super::statement::{Bind, Statement};
use muster_domain::model::ids::SegmentNo;
use muster_domain::model::rules::{Comparison, Rule, Scalar, Subject, Test, Than};
use muster_domain::ports::store::Workspace;

/// Characters of a custom field's value that its index holds, see the second migration.
const INDEXED: usize = 200;

/// Whose members are meant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Members<'a> {
    /// Those on the list of a static segment.
    Listed(SegmentNo),
    /// Those for whom a rule holds.
    Matching(&'a Rule),
}

impl Members<'_> {
    /// The column that holds a member's number, after [`push_from`].
    pub(crate) fn number(self) -> &'static str {
        match self {
            Members::Listed(_) => "m.contact_no",
            Members::Matching(_) => "c.contact_no",
        }
    }
}

/// Members with numbers above `after` and up to `through`, in rising order, at most `limit` of them, as `contact_no`.
pub(crate) fn select_members(of: Workspace, members: Members<'_>, after: i64, through: i64, limit: i64) -> Statement {
    let mut statement = Statement::default();
    push_select(&mut statement, of, members, after, through, limit);
    statement
}

/// Goes on with what [`select_members`] selects.
pub(crate) fn push_select(
    statement: &mut Statement,
    of: Workspace,
    members: Members<'_>,
    after: i64,
    through: i64,
    limit: i64,
) {
    let number = members.number();
    statement.push("SELECT ").push(number);
    push_from(statement, of, members);
    statement.push(" AND ").push(number).push(" > ").bind(Bind::BigInt(after));
    statement.push(" AND ").push(number).push(" <= ").bind(Bind::BigInt(through));
    statement.push(" ORDER BY ").push(number).push(" LIMIT ").bind(Bind::BigInt(limit));
}

/// Goes on with a `FROM … WHERE …` that is every member once.
///
/// A list is read along its own key and each contact is looked up by its number: right after an import the planner has no
/// statistics, takes both for a few rows, and would read the whole list again for each of its members.
pub(crate) fn push_from(statement: &mut Statement, of: Workspace, members: Members<'_>) {
    let Members::Listed(segment) = members else {
        statement.push(" FROM contacts c WHERE ");
        return push_members(statement, of, members);
    };
    statement.push(" FROM segment_members m CROSS JOIN LATERAL (SELECT FROM contacts c WHERE c.tenant_no = ");
    statement.bind(Bind::Int(of.tenant.0)).push(" AND c.contact_no = m.contact_no AND c.workspace_no = ");
    statement.bind(Bind::Int(of.workspace.0)).push(" AND c.erased_at IS NULL OFFSET 0) AS k WHERE m.tenant_no = ");
    statement.bind(Bind::Int(of.tenant.0)).push(" AND m.segment_no = ").bind(Bind::Int(segment.0));
}

/// Goes on with the condition under which `c` is one of the members.
pub(crate) fn push_members(statement: &mut Statement, of: Workspace, members: Members<'_>) {
    statement.push("c.tenant_no = ").bind(Bind::Int(of.tenant.0));
    statement.push(" AND c.workspace_no = ").bind(Bind::Int(of.workspace.0));
    statement.push(" AND c.erased_at IS NULL AND ");
    match members {
        Members::Listed(no) => {
            statement.push("EXISTS (SELECT FROM segment_members m WHERE m.tenant_no = c.tenant_no AND m.segment_no = ");
            statement.bind(Bind::Int(no.0)).push(" AND m.contact_no = c.contact_no)");
        }
        Members::Matching(rule) => push_rule(statement, of, rule),
    }
}

/// Goes on with `rule` as one condition that needs no parentheses around it.
fn push_rule(statement: &mut Statement, of: Workspace, rule: &Rule) {
    match rule {
        Rule::All { all } => push_group(statement, of, all, " AND ", "true"),
        Rule::Any { any } => push_group(statement, of, any, " OR ", "false"),
        Rule::Not { not } => {
            statement.push("NOT ");
            push_rule(statement, of, not);
        }
        Rule::Compare { field, op, value } => match Comparison::read(field, *op, value) {
            Ok(comparison) => push_comparison(statement, of, &comparison),
            // As Rule::holds has it.
            Err(_) => {
                statement.push("false");
            }
        },
    }
}

fn push_group(statement: &mut Statement, of: Workspace, rules: &[Rule], between: &str, empty: &str) {
    let Some((first, others)) = rules.split_first() else {
        statement.push(empty);
        return;
    };
    statement.push("(");
    push_rule(statement, of, first);
    for rule in others {
        statement.push(between);
        push_rule(statement, of, rule);
    }
    statement.push(")");
}

fn push_comparison(statement: &mut Statement, of: Workspace, Comparison { subject, test }: &Comparison) {
    if matches!(test, Test::NoneOf(_) | Test::Exists(false) | Test::Engaged(_, false)) {
        statement.push("NOT ");
    }
    match subject {
        Subject::Text(name) => push_text(statement, column(name), test),
        Subject::Tags => push_tags(statement, test),
        Subject::LeadScore => push_lead_score(statement, test),
        Subject::Custom(name) => push_custom(statement, name, test),
        Subject::Did(_) => push_did(statement, of, test),
    }
}

fn push_did(statement: &mut Statement, of: Workspace, test: &Test) {
    match test {
        Test::Engaged(question, _) => {
            push_engaged(statement, of, None, ("c.tenant_no", "c.contact_no"), question);
        }
        _ => {
            statement.push("false");
        }
    }
}

/// The column of a text field, and how it is folded. A field without a column reads as absent.
fn column(name: &str) -> (&'static str, &'static str) {
    match name {
        "email" => ("c.email_key", "c.email_key"),
        "firstName" => ("c.first_name", "muster_fold(c.first_name)"),
        "lastName" => ("c.last_name", "muster_fold(c.last_name)"),
        "company" => ("c.company", "muster_fold(c.company)"),
        "jobTitle" => ("c.job_title", "muster_fold(c.job_title)"),
        "city" => ("c.city", "muster_fold(c.city)"),
        "state" => ("c.state", "muster_fold(c.state)"),
        "country" => ("c.country", "muster_fold(c.country)"),
        "timezone" => ("c.timezone", "muster_fold(c.timezone)"),
        _ => ("null::text", "null::text"),
    }
}

fn push_text(statement: &mut Statement, (column, folded): (&str, &str), test: &Test) {
    if let Test::Exists(_) = test {
        statement.push("(").push(column).push(" IS NOT NULL)");
        return;
    }
    // An address is there whenever the contact is; bare, its comparison is one that an index answers.
    let always_there = column == "c.email_key";
    statement.push(if always_there { "(" } else { "coalesce(" });
    push_test_of_text(statement, folded, test);
    statement.push(if always_there { ")" } else { ", false)" });
}

fn push_tags(statement: &mut Statement, test: &Test) {
    statement
        .push("EXISTS (SELECT FROM contact_tags t WHERE t.tenant_no = c.tenant_no AND t.contact_no = c.contact_no");
    match test {
        Test::Exists(_) => {}
        // A tag that is there, not a part of one.
        Test::Contains(tag) => {
            statement.push(" AND t.tag = ").bind(Bind::Text(tag.clone()));
        }
        _ => {
            statement.push(" AND ");
            push_test_of_text(statement, "t.tag", test);
        }
    }
    statement.push(")");
}

fn push_lead_score(statement: &mut Statement, test: &Test) {
    const SCORE: &str = "c.lead_score::double precision";
    match test {
        Test::OneOf(these) | Test::NoneOf(these) => {
            push_one_of(statement, SCORE, numbers(these), Bind::Double, Bind::DoubleArray);
        }
        Test::Order(than, Scalar::Number(number)) => {
            statement.push("(").push(SCORE).push(sign(*than)).bind(Bind::Double(*number)).push(")");
        }
        Test::Exists(_) => {
            statement.push("true");
        }
        Test::Order(..) | Test::Contains(_) | Test::StartsWith(_) | Test::Engaged(..) => {
            statement.push("false");
        }
    }
}

fn push_custom(statement: &mut Statement, name: &str, test: &Test) {
    statement
        .push("EXISTS (SELECT FROM contact_fields f WHERE f.tenant_no = c.tenant_no AND f.contact_no = c.contact_no");
    statement.push(" AND f.name = ").bind(Bind::Text(name.to_owned()));
    match test {
        Test::Exists(_) => {}
        Test::OneOf(these) | Test::NoneOf(these) => {
            statement.push(" AND (");
            push_custom_one_of(statement, these);
            statement.push(")");
        }
        Test::Order(than, Scalar::Number(number)) => {
            statement.push(" AND f.number_key").push(sign(*than)).bind(Bind::Double(*number));
        }
        Test::Order(_, Scalar::Text(_)) => {
            statement.push(" AND f.number_key IS NULL AND ");
            push_test_of_text(statement, "muster_fold(f.value)", test);
        }
        Test::Engaged(..) => {
            statement.push(" AND false");
        }
        Test::Contains(_) | Test::StartsWith(_) => {
            statement.push(" AND ");
            push_test_of_text(statement, "muster_fold(f.value)", test);
        }
    }
    statement.push(")");
}

fn push_custom_one_of(statement: &mut Statement, these: &[Scalar]) {
    let (short, long): (Vec<String>, Vec<String>) =
        texts(these).into_iter().partition(|text| text.chars().count() < INDEXED);
    let mut between = "";
    if !short.is_empty() {
        push_one_of(statement, "f.value_key", short, Bind::Text, Bind::TextArray);
        between = " OR ";
    }
    // The index knows how such a value begins; the rest is compared in the row.
    for text in long {
        let beginning = text.chars().take(INDEXED).collect();
        statement.push(between).push("(f.value_key = ").bind(Bind::Text(beginning));
        statement.push(" AND muster_fold(f.value) = ").bind(Bind::Text(text)).push(")");
        between = " OR ";
    }
    let numbers = numbers(these);
    if !numbers.is_empty() {
        statement.push(between);
        push_one_of(statement, "f.number_key", numbers, Bind::Double, Bind::DoubleArray);
    }
}

/// Goes on with `test` of the folded text `value`; negations are the caller's.
fn push_test_of_text(statement: &mut Statement, value: &str, test: &Test) {
    match test {
        Test::OneOf(these) | Test::NoneOf(these) => {
            push_one_of(statement, value, texts(these), Bind::Text, Bind::TextArray);
        }
        Test::Order(than, Scalar::Text(text)) => {
            // By code points, as the program orders text, whatever the database's language.
            statement.push(value).push(" COLLATE \"C\"").push(sign(*than)).bind(Bind::Text(text.clone()));
        }
        Test::Contains(part) => {
            statement.push("position(").bind(Bind::Text(part.clone())).push(" in ").push(value).push(") > 0");
        }
        Test::StartsWith(part) => {
            statement.push("starts_with(").push(value).push(", ").bind(Bind::Text(part.clone())).push(")");
        }
        Test::Order(_, Scalar::Number(_)) | Test::Engaged(..) => {
            statement.push("false");
        }
        Test::Exists(_) => {
            statement.push("true");
        }
    }
}

fn push_one_of<T>(
    statement: &mut Statement,
    value: &str,
    mut these: Vec<T>,
    one: impl Fn(T) -> Bind,
    several: impl Fn(Vec<T>) -> Bind,
) {
    statement.push("(").push(value).push(" = ");
    match (these.pop(), these.is_empty()) {
        (Some(only), true) => statement.bind(one(only)).push(")"),
        (Some(last), false) => {
            these.push(last);
            statement.push("ANY (").bind(several(these)).push("))")
        }
        (None, _) => statement.push("NULL AND false)"),
    };
}

fn texts(these: &[Scalar]) -> Vec<String> {
    these.iter().filter_map(|one| if let Scalar::Text(text) = one { Some(text.clone()) } else { None }).collect()
}

fn numbers(these: &[Scalar]) -> Vec<f64> {
    these.iter().filter_map(|one| if let Scalar::Number(number) = one { Some(*number) } else { None }).collect()
}

fn sign(than: Than) -> &'static str {
    match than {
        Than::Less => " < ",
        Than::AtMost => " <= ",
        Than::Greater => " > ",
        Than::AtLeast => " >= ",
    }
}

#[cfg(test)]
mod plans;
