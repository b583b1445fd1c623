//! `schema.rs` says what a migrated database has: the schema exists once, in the migrations.

use crate::fixture::Fixture;
use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use std::fmt::Write as _;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/postgres/schema.rs");

#[derive(QueryableByName)]
#[expect(clippy::struct_field_names, reason = "named as the columns of the catalogue are")]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    udt_name: String,
    #[diesel(sql_type = Text)]
    is_nullable: String,
    #[diesel(sql_type = Text)]
    key: String,
}

/// Every column of every table, each table's in its own order.
const COLUMNS: &str = "SELECT c.table_name::text, c.column_name::text, c.udt_name::text, c.is_nullable::text, coalesce(( \
     SELECT string_agg(k.column_name, ', ' ORDER BY k.ordinal_position) FROM information_schema.table_constraints t \
     JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name) \
     WHERE t.table_name = c.table_name AND t.constraint_type = 'PRIMARY KEY'), 'tenant_no, seq') AS key \
     FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) \
     WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.table_name <> '__diesel_schema_migrations' \
     ORDER BY c.table_name, c.ordinal_position";

fn rust_type(udt: &str) -> &str {
    match udt {
        "int2" => "Int2",
        "int4" => "Int4",
        "int8" => "Int8",
        "float8" => "Float8",
        "bool" => "Bool",
        "char" => "CChar",
        "text" => "Text",
        "bytea" => "Bytea",
        "uuid" => "Uuid",
        "jsonb" => "Jsonb",
        "timestamptz" => "Timestamptz",
        "_text" => "Array<Text>",
        "_int2" => "Array<Int2>",
        other => panic!("the schema's writer does not know the type {other}"),
    }
}

fn render(columns: &[Column]) -> String {
    let mut out = String::from(
        "//! The tables as the migrations make them; a test compares this file with a migrated database.\n//!\n\
         //! `just schema` writes it again.\n\n#![expect(missing_docs, reason = \"the migrations describe the columns\")]\n",
    );
    let mut tables = Vec::new();
    for table in columns.chunk_by(|a, b| a.table_name == b.table_name) {
        tables.push(table[0].table_name.as_str());
        write!(out, "\ndiesel::table! {{\n    {} ({}) {{\n", table[0].table_name, table[0].key).unwrap();
        for column in table {
            let base = rust_type(&column.udt_name);
            let full = if column.is_nullable == "YES" { format!("Nullable<{base}>") } else { base.to_owned() };
            writeln!(out, "        {} -> {full},", column.column_name).unwrap();
        }
        out.push_str("    }\n}\n");
    }
    write!(out, "\ndiesel::allow_tables_to_appear_in_same_query!(\n    {},\n);\n", tables.join(",\n    ")).unwrap();
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_file_says_what_the_migrations_make() {
    let fixture = Fixture::new().await;
    let columns: Vec<Column> =
        diesel::sql_query(COLUMNS).get_results(&mut fixture.database.connect().await).await.unwrap();
    let rendered = render(&columns);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(FILE, &rendered).unwrap();
    }
    // Line breaks are rustfmt's to choose.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(&std::fs::read_to_string(FILE).unwrap()), words(&rendered), "run `just schema`");
}
