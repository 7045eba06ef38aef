# Pages whose fragments come from an edge node, put in by Varnish (ESI); Varnish 6.5 or later, no further modules.
# A fragment that fails, or takes longer than 250 ms, is the file of its placement; without one, nothing.
# Change: both addresses, the write key, and where `edgewise site fallbacks` has written its files.
vcl 4.1;

import std;

backend shop {
  .host = "127.0.0.1";
  .port = "8000";
}
backend edgewise {
  .host = "127.0.0.1";
  .port = "8090";
  .connect_timeout = 50ms;
  .first_byte_timeout = 250ms;
  .between_bytes_timeout = 100ms;
  .probe = {
    .url = "/health/ready";
    .interval = 1s;
    .timeout = 500ms;
    .window = 4;
    .threshold = 2;
    .initial = 2;
  }
}
# Who may ask to forget: the nodes (`purge_url`).
acl purgers {
  "127.0.0.1";
}

sub vcl_recv {
  unset req.http.Edgewise-Fragment;
  if (req.url == "/.edgewise/purge") {
    if (req.method != "POST" || client.ip !~ purgers) {
      return (synth(403));
    }
    if (req.http.Surrogate-Key !~ "^[A-Za-z0-9_-]+( [A-Za-z0-9_-]+)*$") {
      return (synth(400, "Surrogate-Key: keys with spaces between"));
    }
    if (!std.ban("obj.http.Surrogate-Key ~ (?<![\w-])(" + regsuball(req.http.Surrogate-Key, " ", "|") + ")(?![\w-])")) {
      return (synth(500, std.ban_error()));
    }
    return (synth(200, "forgotten"));
  }
  if (req.url ~ "^/v1/fragment/") {
    set req.backend_hint = edgewise;
    set req.http.Edgewise-Fragment = regsub(req.url, "^/v1/fragment/([A-Za-z0-9_.-]+)(\?.*)?$", "\1");
    set req.http.Edgewise-Page = req_top.url;
    # printf '%s:' 'WRITE KEY' | base64
    set req.http.Authorization = "Basic ZGVtbzo=";
    unset req.http.Range;
    unset req.http.If-None-Match;
    unset req.http.If-Modified-Since;
    if (req.method != "GET" && req.method != "HEAD") {
      return (pass);
    }
    if (req.url ~ "[?&]shared=1(&|$)") {
      # The same for everybody: nothing of a visitor is in the question, so nothing of his can be in the answer.
      unset req.http.Cookie;
      unset req.http.Edgewise-Id;
      unset req.http.Edgewise-Page;
      return (hash);
    }
    return (pass);
  }
  if (req.url ~ "^/(v1|ofrep)/" || req.url ~ "^/edgewise(-debug)?\.js(\?|$)") {
    # Never /status, /metrics and /openapi.json: those are the operator's.
    set req.backend_hint = edgewise;
    if (!req.http.Authorization) {
      set req.http.Authorization = "Basic ZGVtbzo=";
    }
    return (pass);
  }
  if (req.esi_level == 0) {
    set req.http.Surrogate-Capability = "varnish=ESI/1.0";
  }
}

sub vcl_backend_fetch {
  if (bereq.backend == edgewise && !bereq.http.Edgewise-Fragment) {
    set bereq.first_byte_timeout = 10s;
    set bereq.between_bytes_timeout = 10s;
  }
}

sub vcl_backend_response {
  if (bereq.http.Edgewise-Fragment) {
    if (beresp.status != 200) {
      return (error(beresp.status));
    }
    set beresp.do_stream = false;      # whole, or its fallback
    if (beresp.http.Cache-Control !~ "^public") {
      set beresp.uncacheable = true;
      set beresp.ttl = 1s;
    }
    return (deliver);
  }
  if (beresp.http.Surrogate-Control ~ "ESI/1.0") {
    unset beresp.http.Surrogate-Control;
    set beresp.do_esi = true;
    # A page with somebody's fragments in it is his own: Varnish may keep the frame, nobody behind it the whole.
    set beresp.http.Edgewise-Assembled = "1";
    unset beresp.http.ETag;
    unset beresp.http.Last-Modified;
  }
}

sub vcl_backend_error {
  if (bereq.http.Edgewise-Fragment) {
    set beresp.status = 200;
    set beresp.http.Content-Type = "text/html; charset=utf-8";
    set beresp.http.Cache-Control = "private, no-store";
    set beresp.uncacheable = true;
    set beresp.ttl = 0s;
    set beresp.grace = 0s;
    # edgewise site fallbacks SITE --out /var/lib/edgewise-fallbacks
    set beresp.http.Edgewise-File = "/var/lib/edgewise-fallbacks/" + bereq.http.Edgewise-Fragment + ".html";
    if (bereq.http.Edgewise-Fragment !~ "/" && std.file_exists(beresp.http.Edgewise-File)) {
      synthetic(std.fileread(beresp.http.Edgewise-File));
    } else {
      synthetic("");
    }
    unset beresp.http.Edgewise-File;
    return (deliver);
  }
}

sub vcl_deliver {
  if (resp.http.Edgewise-Assembled) {
    unset resp.http.Edgewise-Assembled;
    set resp.http.Cache-Control = "private, no-store";
  }
  if (client.ip !~ purgers) {
    unset resp.http.Surrogate-Key;
    unset resp.http.xkey;
    unset resp.http.Cache-Tag;
  }
}
