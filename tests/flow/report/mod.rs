//! Reports, support archives, test results and schemas, as they are typed, against the sandbox.

mod archive;
mod browser;
mod devtools;
mod files;
mod junit;
mod page;
mod schemas;
