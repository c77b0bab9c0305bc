"""The server under test, and the proxies in front of it, each in a folder of the run."""

import os
import re
import signal
import socket
import subprocess
import time

START = 60  # seconds
LISTENING = re.compile(r"event=listening address=(\S+)")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """Its output goes to a file of its name."""

    def __init__(self, name, folder, command):
        self.name, self.log = name, os.path.join(folder, f"{name}.log")
        self.stopping = False
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
            )

    def output(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def wait_until(self, ready):
        end = time.monotonic() + START
        while time.monotonic() < end:
            found = ready()
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.kill()
        raise SystemExit(f"{self.name} did not start:\n{self.output()}")

    def stop(self):
        """Asks it to end; its exit status."""
        if self.process.poll() is None and not self.stopping:
            self.stopping = True  # a second signal would end it at once
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=START)
        except subprocess.TimeoutExpired:
            self.kill()
            return -1

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Server(Process):
    def __init__(self, binary, folder, arguments=()):
        data = os.path.join(folder, "data")
        command = [binary, "--data", data, "--listen", "127.0.0.1:0", *arguments]
        super().__init__("dormoused", folder, command)
        self.address = self.wait_until(self._listening)

    def _listening(self):
        output = self.output()
        found = LISTENING.search(output)
        return found and "event=ready" in output and found.group(1)


NGINX = """
daemon off; master_process off; pid nginx.pid; error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 0;
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp;
  uwsgi_temp_path temp; scgi_temp_path temp;
  server {{
    listen {front} http2;
    location / {{ grpc_pass grpc://{back}; grpc_read_timeout 1h; grpc_send_timeout 1h; }}
  }}
}}
"""


def nginx_http1(upstream, more=""):
    """One location over HTTP/1.1; `upstream` may be dormouse, a name of it."""
    begin = NGINX[: NGINX.index("  server {{")]
    return f"""{begin}  upstream dormouse {{{{ server {{back}}; }}}}
  server {{{{
    listen {{front}};
    location / {{{{ proxy_pass http://{upstream}; {more} }}}}
  }}}}
}}}}
"""


def nginx(name):
    return ["nginx", "-e", "stderr", "-p", ".", "-c", f"{name}.conf"]


HAPROXY = """
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
frontend front
  bind {front} proto h2
  default_backend back
backend back
  server dormoused {back} proto h2
"""

NGHTTPX = """
frontend={front_host},{front_port};no-tls
backend={back_host},{back_port};;proto=h2;no-tls
workers=1
single-process=yes
accesslog-file=/dev/null
backend-read-timeout=1h
frontend-http2-read-timeout=1h
stream-read-timeout=1h
"""

PROXIES = {
    "nginx": (NGINX, nginx("nginx")),
    "haproxy": (HAPROXY, ["haproxy", "-db", "-f", "haproxy.conf"]),
    "nghttpx": (NGHTTPX, ["nghttpx", "--conf=nghttpx.conf"]),
    # HTTP/1.1 on both sides
    "nginx-http1": (nginx_http1("{back}"), nginx("nginx-http1")),
    "nginx-upstream": (nginx_http1("dormouse"), nginx("nginx-upstream")),
    "nginx-host": (nginx_http1("{back}", "proxy_set_header Host $host;"), nginx("nginx-host")),
    "haproxy-http1": (HAPROXY.replace(" proto h2", ""), ["haproxy", "-db", "-f", "haproxy-http1.conf"]),
    "nghttpx-http1": (NGHTTPX.replace("proto=h2;", ""), ["nghttpx", "--conf=nghttpx-http1.conf"]),
}


class Proxy(Process):
    def __init__(self, name, folder, back):
        self.address = f"127.0.0.1:{free_port()}"
        text, command = PROXIES[name]
        fields = {"front": self.address, "back": back}
        for side in ("front", "back"):
            fields[f"{side}_host"], fields[f"{side}_port"] = fields[side].rsplit(":", 1)
        with open(os.path.join(folder, f"{name}.conf"), "w") as conf:
            conf.write(text.format(**fields))
        # Debian keeps them in sbin, which is not on everybody's path
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        super().__init__(name, folder, ["env", f"PATH={path}", *command])
        self.wait_until(self._accepts)

    def _accepts(self):
        host, port = self.address.rsplit(":", 1)
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return True
        except OSError:
            return False
