"""Runs OpenStack Swift with its S3 interface on the loopback, in the folder given, until standard input ends.

Prints the port of the proxy when it answers. Swift is in Debian's python3-swift; its own packages would start services.
"""
import ctypes
import os
import pwd
import signal
import socket
import sys
import time

from swift.common import utils
from swift.common.ring import RingBuilder
from swift.common.wsgi import run_wsgi

folder = sys.argv[1]
os.makedirs(f'{folder}/devices/one')

PROXY = """
pipeline = catch_errors cache listing_formats s3api tempauth bulk slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_test_writer = secret .admin
user_test_stranger = secret
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
"""


def free_ports(count):
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def write(name, text):
    with open(f'{folder}/{name}', 'w') as file:
        file.write(text)


def settings(port, pipeline):
    return f"""
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {pwd.getpwuid(os.getuid()).pw_name}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
log_address = /dev/null
[pipeline:main]
{pipeline}
"""


def start(name):
    pid = os.fork()
    if pid == 0:
        # PR_SET_PDEATHSIG: they end with this process, however that ends.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        sys.exit(run_wsgi(f'{folder}/{name}.conf', f'{name}-server'))
    return pid


write('swift.conf', '[swift-hash]\nswift_hash_path_suffix = test\n')
utils.set_swift_dir(folder)
ports = dict(zip(['account', 'container', 'object', 'proxy'], free_ports(4)))
for name in ['account', 'container', 'object']:
    write(f'{name}.conf', settings(ports[name], f'pipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}'))
    ring = RingBuilder(2, 1, 1)
    ring.add_dev({'region': 1, 'zone': 1, 'weight': 1, 'ip': '127.0.0.1', 'port': ports[name], 'device': 'one'})
    ring.rebalance()
    ring.get_ring().save(f'{folder}/{name}.ring.gz')
write('proxy.conf', settings(ports['proxy'], PROXY))

pids = [start(name) for name in ports]
for port in ports.values():
    while socket.socket().connect_ex(('127.0.0.1', port)) != 0:
        time.sleep(0.05)
print(ports['proxy'], flush=True)
sys.stdin.read()
for pid in pids:
    os.kill(pid, signal.SIGKILL)
