"""Runs fakepve (PyPI) with tokens, rights and some guests, and lets a test steer it.

fakepve's own command line has neither tokens nor faults, its Python class has both. Prints one JSON line
when it listens, then answers each JSON line on stdin with one JSON line:

    {"call": "lose_quorum"}                          calls FakePve.lose_quorum()
    {"call": "set_node_offline", "args": ["pve2"]}
    {"call": "fail", "args": ["POST", "/x"], "kwargs": {"status": 500, "message": "no"}}
    {"guest": 100}                                   what it knows of a guest
    {"guest": 100, "set": {"lock": "backup"}}        changes attributes of a guest
    {"requests": true}                               [[method, path], ...] since the last time

It ends when stdin is closed.
"""

import argparse
import asyncio
import inspect
import json
import sys

from fakepve import FakePve

SECRET = '11111111-2222-4333-8444-555555555555'
EVERYTHING = (
    'VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM VM.Config.CPU VM.Config.Cloudinit VM.Config.Disk '
    'VM.Config.HWType VM.Config.Memory VM.Config.Network VM.Config.Options VM.Console VM.Migrate VM.PowerMgmt '
    'VM.Snapshot VM.Snapshot.Rollback VM.GuestAgent.Audit VM.GuestAgent.FileRead VM.GuestAgent.FileWrite '
    'VM.GuestAgent.FileSystemMgmt VM.GuestAgent.Unrestricted Datastore.AllocateSpace Datastore.AllocateTemplate '
    'Datastore.Audit Mapping.Use Pool.Audit SDN.Use Sys.Audit Sys.AccessNetwork').split()
ALLOWED_CALLS = {
    'lose_quorum', 'regain_quorum', 'set_node_offline', 'hold_config_lock', 'release_config_lock', 'backup',
    'snapshot_lock', 'unlock', 'fail', 'store_file', 'slow_network', 'flaky_network',
}


def build(args):
    pve = FakePve(user='root@pam', password='secret', host='127.0.0.1', port=0)
    pve.time_scale = args.time_scale
    disk = {'scsi0': 'local-lvm:vm-{0}-disk-0,size=4G', 'boot': 'order=scsi0', 'cores': 1, 'memory': '1024',
            'net0': 'virtio=BC:24:11:00:00:{0:02X},bridge=vmbr0'}

    def config(vmid, **more):
        made = {k: v.format(vmid % 256) if isinstance(v, str) and k == 'net0' else v for k, v in disk.items()}
        made['scsi0'] = disk['scsi0'].format(vmid)
        return dict(made, **more)

    pve.add_vm(100, 'web-01', node='pve1', status='running', config=config(100, agent='1', tags='web;prod'))
    pve.vm(100).agent = {}
    pve.add_vm(101, 'db-01', node='pve2', status='stopped', config=config(101))
    pve.add_vm(102, 'safe-01', node='pve1', status='stopped', config=config(102, protection=1))
    pve.add_vm(9000, 'debian-13', node='pve1', status='stopped', template=True,
               config=config(9000, template=1, scsi0='local-lvm:base-9000-disk-0,size=4G',
                             ide2='local-lvm:vm-9000-cloudinit,media=cdrom'))
    pve.storages['local-lvm'].setdefault('volumes', {})['base-9000-disk-0'] = {
        'content': 'images', 'format': 'raw', 'size': 4 * 1024 ** 3, 'vmid': 9000, 'ctime': 1}
    pve.add_ct(200, 'dns', node='pve1', status='running', config={'hostname': 'dns'})
    for token, privileges in (('full', EVERYTHING), ('reader', ['VM.Audit']), ('nothing', [])):
        pve.apitokens['steward@pve!' + token] = SECRET
        pve.grant('steward@pve!' + token, '/', *privileges)
    return pve


def guest_view(pve, vmid):
    guest = pve.guest(vmid)
    if guest is None:
        return None
    return {'node': guest.node, 'status': guest.status, 'lock': guest.lock,
            'config': {k: str(v) for k, v in guest.config.items()}}


async def answer(pve, order):
    if 'call' in order:
        if order['call'] not in ALLOWED_CALLS:
            raise ValueError('unknown call {0}'.format(order['call']))
        result = getattr(pve, order['call'])(*order.get('args', []), **order.get('kwargs', {}))
        if inspect.isawaitable(result):
            result = await result
        return result
    if 'guest' in order:
        for name, value in order.get('set', {}).items():
            setattr(pve.guest(order['guest']), name, value)
        return guest_view(pve, order['guest'])
    if 'requests' in order:
        seen = [[method, path] for method, path, _body in pve.requests]
        pve.requests.clear()
        return seen
    raise ValueError('an order has call, guest or requests')


async def serve(args):
    pve = build(args)
    await pve.start(args.cert, args.key)
    print(json.dumps({'url': pve.url, 'secret': SECRET}), flush=True)
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            break
        try:
            told = {'ok': await answer(pve, json.loads(line))}
        except Exception as error:  # noqa: BLE001 - the test shows it
            told = {'error': '{0}: {1}'.format(type(error).__name__, error)}
        print(json.dumps(told), flush=True)
    await pve.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cert', required=True, help='PEM certificate')
    parser.add_argument('--key', required=True, help='PEM key')
    parser.add_argument('--time-scale', type=float, default=0.02, help='real seconds per Proxmox second')
    asyncio.run(serve(parser.parse_args()))


if __name__ == '__main__':
    main()
