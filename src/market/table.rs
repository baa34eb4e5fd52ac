//! Routes and the table of them, from one list: neither can have what the other has not. Tests go
//! through the tables.

/// `ROUTES` with every path and its methods, and `table()`, the router of exactly these.
macro_rules! routes {
    ($(#[$about:meta])* $($path:literal $(at most $limit:expr =>)? { $($method:ident $handler:path),+ })+) => {
        $(#[$about])*
        pub const ROUTES: &[(&str, &[&str])] = &[$(($path, &[$(stringify!($method)),+])),+];

        fn table() -> axum::Router<crate::market::api::Market> {
            axum::Router::new()$(.route(
                $path,
                axum::routing::MethodRouter::new()
                    $(.on(axum::routing::MethodFilter::$method, $handler))+
                    $(.layer(axum::extract::DefaultBodyLimit::max($limit)))?,
            ))+
        }
    };
}

pub(crate) use routes;
