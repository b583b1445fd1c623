//! What a mail has no need of is refused before it is compiled.
//!
//! The tree is minijinja's own (`unstable_machinery`): no second parser could disagree with the one that renders.
//! Each `match` names every node, so that a new version with a new kind of node does not compile instead of passing it.

use super::engine::{located, syntax};
use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;
use muster_domain::ports::templates::TemplateError;

/// Tokens within one pair of braces. Operators nest to the left without limit, and both the compiler and the
/// destructor of a tree recurse.
const TOKENS_IN_TAG: usize = 200;
/// `elif` branches in a template; they nest, too.
const BRANCHES: usize = 100;
/// Tags in a template.
const TAGS: usize = 5_000;

/// Filters that look at one value and make one of about its size.
const FILTERS: [&str; 23] = [
    "abs",
    "capitalize",
    "count",
    "d",
    "default",
    "e",
    "escape",
    "first",
    "float",
    "int",
    "join",
    "last",
    "length",
    "lower",
    "replace",
    "reverse",
    "round",
    "sort",
    "string",
    "title",
    "trim",
    "unique",
    "upper",
];

/// Tests on one value.
const TESTS: [&str; 33] = [
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];

type Inspected = Result<(), TemplateError>;

/// Refuses what cannot be parsed or has no place in a mail.
pub(super) fn inspect(source: &str) -> Inspected {
    measure(source)?;
    let tree = parse(source, "template", SyntaxConfig::default()).map_err(|error| syntax(&error))?;
    statement(&tree)
}

/// Bounds the tree before there is one.
fn measure(source: &str) -> Inspected {
    let (mut tags, mut in_tag, mut branches) = (0, 0, 0);
    for token in tokenize(source, false, SyntaxConfig::default()) {
        let (token, span) = token.map_err(|error| syntax(&error))?;
        match token {
            Token::VariableStart | Token::BlockStart => {
                tags += 1;
                in_tag = 0;
            }
            Token::Ident("elif") => branches += 1,
            _ => {}
        }
        in_tag += 1;
        let line = span.start_line.into();
        if in_tag > TOKENS_IN_TAG {
            return Err(too_large(line, "one tag is too long"));
        }
        if branches > BRANCHES {
            return Err(too_large(line, "too many elif branches"));
        }
        if tags > TAGS {
            return Err(too_large(line, "too many tags"));
        }
    }
    Ok(())
}

fn too_large(line: usize, what: &str) -> TemplateError {
    TemplateError { code: "template_too_large", detail: located(Some(line), what) }
}

fn forbidden(line: impl Into<usize>, what: &str) -> TemplateError {
    TemplateError { code: "template_forbidden", detail: located(Some(line.into()), what) }
}

fn statements(body: &[Stmt<'_>]) -> Inspected {
    body.iter().try_for_each(statement)
}

fn statement(node: &Stmt<'_>) -> Inspected {
    match node {
        Stmt::Template(template) => statements(&template.children),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::EmitExpr(emit) => expression(&emit.expr),
        Stmt::IfCond(branch) => {
            expression(&branch.expr)?;
            statements(&branch.true_body)?;
            statements(&branch.false_body)
        }
        Stmt::ForLoop(each) => {
            if !is_field(&each.iter) || each.recursive {
                return Err(forbidden(
                    each.span().start_line,
                    "a loop goes over a field of the contact and nothing else",
                ));
            }
            each.filter_expr.as_ref().map_or(Ok(()), expression)?;
            statements(&each.body)?;
            statements(&each.else_body)
        }
        Stmt::Set(set) => expression(&set.expr),
        Stmt::WithBlock(with) => {
            with.assignments.iter().try_for_each(|(_, value)| expression(value))?;
            statements(&with.body)
        }
        Stmt::SetBlock(node) => Err(no_statement(node.span().start_line, "set block")),
        Stmt::AutoEscape(node) => Err(no_statement(node.span().start_line, "autoescape")),
        Stmt::FilterBlock(node) => Err(no_statement(node.span().start_line, "filter")),
        Stmt::Block(node) => Err(no_statement(node.span().start_line, "block")),
        Stmt::Import(node) => Err(no_statement(node.span().start_line, "import")),
        Stmt::FromImport(node) => Err(no_statement(node.span().start_line, "from")),
        Stmt::Extends(node) => Err(no_statement(node.span().start_line, "extends")),
        Stmt::Include(node) => Err(no_statement(node.span().start_line, "include")),
        Stmt::Do(node) => Err(no_statement(node.span().start_line, "do")),
    }
}

fn no_statement(line: impl Into<usize>, name: &str) -> TemplateError {
    forbidden(line, &format!("{name} is not available in mail templates"))
}

fn expression(node: &Expr<'_>) -> Inspected {
    let line = node.span().start_line;
    match node {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::GetAttr(get) => expression(&get.expr),
        Expr::GetItem(get) => {
            expression(&get.expr)?;
            expression(&get.subscript_expr)
        }
        Expr::Slice(slice) => {
            expression(&slice.expr)?;
            [&slice.start, &slice.stop, &slice.step].into_iter().flatten().try_for_each(expression)
        }
        Expr::UnaryOp(unary) => expression(&unary.expr),
        Expr::BinOp(binary) => match binary.op {
            BinOpKind::Mul | BinOpKind::Pow => {
                Err(forbidden(line, "multiplication is not available: it repeats texts and lists"))
            }
            BinOpKind::Eq
            | BinOpKind::Ne
            | BinOpKind::Lt
            | BinOpKind::Lte
            | BinOpKind::Gt
            | BinOpKind::Gte
            | BinOpKind::ScAnd
            | BinOpKind::ScOr
            | BinOpKind::Add
            | BinOpKind::Sub
            | BinOpKind::Div
            | BinOpKind::FloorDiv
            | BinOpKind::Rem
            | BinOpKind::Concat
            | BinOpKind::In => {
                expression(&binary.left)?;
                expression(&binary.right)
            }
        },
        Expr::Compare(compare) => {
            expression(&compare.expr)?;
            compare.ops.iter().try_for_each(|op| expression(&op.expr))
        }
        Expr::IfExpr(choice) => {
            expression(&choice.test_expr)?;
            expression(&choice.true_expr)?;
            choice.false_expr.as_ref().map_or(Ok(()), expression)
        }
        Expr::Filter(filter) => {
            if !FILTERS.contains(&filter.name) {
                return Err(forbidden(line, &format!("there is no filter {}", filter.name)));
            }
            filter.expr.as_ref().map_or(Ok(()), expression)?;
            arguments(line, &filter.args)
        }
        Expr::Test(test) => {
            if !TESTS.contains(&test.name) {
                return Err(forbidden(line, &format!("there is no test {}", test.name)));
            }
            expression(&test.expr)?;
            arguments(line, &test.args)
        }
        Expr::Call(_) => Err(forbidden(line, "nothing can be called")),
        Expr::List(list) => list.items.iter().try_for_each(expression),
        Expr::Tuple(tuple) => tuple.items.iter().try_for_each(expression),
        Expr::Map(map) => map.keys.iter().chain(&map.values).try_for_each(expression),
    }
}

fn arguments(line: impl Into<usize>, args: &[CallArg<'_>]) -> Inspected {
    let line = line.into();
    args.iter().try_for_each(|arg| match arg {
        CallArg::Pos(value) | CallArg::Kwarg(_, value) => expression(value),
        CallArg::PosSplat(_) | CallArg::KwargSplat(_) => Err(forbidden(line, "arguments cannot be unpacked")),
    })
}

/// `tags`, `customFields.orders`, `customFields["orders"]`.
fn is_field(node: &Expr<'_>) -> bool {
    match node {
        Expr::Var(_) => true,
        Expr::GetAttr(get) => is_field(&get.expr),
        Expr::GetItem(get) => is_field(&get.expr) && matches!(get.subscript_expr, Expr::Const(_)),
        _ => false,
    }
}
