#!/usr/bin/env python3
"""Replays scripted API requests against two Ironic-compatible servers and says where they agree.

usage: diff_api.py URL_A URL_B [--scenarios FILE] [--accepted FILE] [--only TEXT] [-v] [--strict-text] [--dump FILE]

Both servers should be fresh (no nodes): list answers are compared whole. Each request is sent
to A, then to B; status, content type, version headers, Location and the body are compared after
uuids, times, tokens, host names and base URLs are replaced by names. Three answers per request:
  status  the status codes are equal
  shape   and the JSON has the same keys and types, and the same headers
  values  and the same values; texts of error messages count only with --strict-text
The last line counts the requests whose values agree. Needs PyYAML for the scenario file.

--accepted names a list of differences that are meant, each with a reason; the exit status is 0 when all that differs
is in it. An entry of that list has
  reason       why we answer so
  requests     a regular expression that the whole of 'METHOD path' matches
  scenario     a part of the scenario's name (optional)
  version      a regular expression that the whole of the version asked for matches (optional)
  body         a regular expression, found in the request's body as JSON (optional)
  differences  regular expressions, found in 'kind: text' of a difference; each must have been of use
Where the status is accepted, what follows from it (headers and body) is, too.
With --all-used, an entry (or one of its differences) that explained nothing is a failure as well: the list stays as
short as what it describes.

--routes names a table of routes (contract/api.tsv): those that no request reached are named at the end, and those that
were never asked well, or never badly.
"""
import argparse
import collections
import http.client
import json
import os
import re
import sys
import time
import urllib.parse

import yaml

UUID = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', re.I)
TIME = re.compile(r'\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?')
REQUEST_ID = re.compile(r'req-<uuid>')
HEADERS = ('content-type', 'location', 'allow', 'vary', 'x-openstack-ironic-api-version',
           'x-openstack-ironic-api-minimum-version', 'x-openstack-ironic-api-maximum-version')


class Server:
    """One side: its address, and what its scenario variables stand for."""

    def __init__(self, url, token):
        self.url = url.rstrip('/')
        self.parts = urllib.parse.urlsplit(self.url)
        self.token = token
        self.vars = {}
        self.hosts = set()
        try:
            answer = self.send('GET', '/v1/conductors', 'latest')[2]
            self.hosts = {c['hostname'] for c in answer['conductors']}
        except (KeyError, TypeError):
            pass

    def fill(self, value):
        """Puts the variables' values in: $name or ${name}."""
        if isinstance(value, str):
            whole = re.fullmatch(r'\$\{?(\w+)\}?', value)
            if whole and whole[1] in self.vars:
                return self.vars[whole[1]]
            return re.sub(r'\$\{?(\w+)\}?', lambda m: str(self.vars.get(m[1], m[0])), value)
        if isinstance(value, dict):
            return {self.fill(k): self.fill(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.fill(v) for v in value]
        return value

    def send(self, method, path, version=None, body=None, raw=None, headers=None):
        head = {'Accept': 'application/json'}
        if version is not None:
            head['X-OpenStack-Ironic-API-Version'] = str(version)
        if self.token:
            head['X-Auth-Token'] = self.token
        data = None
        if raw is not None:
            data = raw.encode()
            head['Content-Type'] = 'application/json'
        elif body is not None:
            data = json.dumps(self.fill(body)).encode()
            head['Content-Type'] = 'application/json'
        elif method in ('POST', 'PUT', 'PATCH'):
            head['Content-Length'] = '0'
        head.update(headers or {})
        head = {k: v for k, v in head.items() if v is not None}
        kind = http.client.HTTPSConnection if self.parts.scheme == 'https' else http.client.HTTPConnection
        link = kind(self.parts.hostname, self.parts.port, timeout=60)
        try:
            link.request(method, self.parts.path + self.fill(path), data, head)
            answer = link.getresponse()
            text = answer.read().decode('utf-8', 'replace')
            seen = {k.lower(): v for k, v in answer.getheaders()}
        finally:
            link.close()
        try:
            content = json.loads(text) if text else None
        except ValueError:
            content = text
        return answer.status, seen, content

    def plain(self, value, key=None):
        """The value with everything that may differ between two equal servers replaced."""
        if isinstance(value, dict):
            return {self.plain(k): self.plain(v, k) for k, v in value.items()}
        if isinstance(value, list):
            parts = [self.plain(v, key) for v in value]
            # Ironic itself gives these in no fixed order (a set's, which changes with each start)
            return sorted(parts) if re.fullmatch(r'enabled_\w+_interfaces', str(key)) else parts
        if not isinstance(value, str):
            return value
        if key == 'error_message' and value.startswith('{'):
            try:
                return self.plain(json.loads(value))
            except ValueError:
                pass
        if key == 'next' and '?' in value:   # the order of its parameters tells nothing
            path, query = value.split('?', 1)
            return {'path': self.plain(path), **{k: self.plain(v) for k, v in urllib.parse.parse_qsl(query)}}
        for host in (self.parts.netloc, f'localhost:{self.parts.port}'):
            value = re.sub(r'https?://' + re.escape(host), '<base>', value)
        for host in sorted(self.hosts, key=len, reverse=True):
            value = value.replace(host, '<conductor>')
        if key == 'agent_token' and value != '******':
            return '<token>'
        for name, known in self.vars.items():
            if isinstance(known, str) and UUID.fullmatch(known):
                value = value.replace(known, f'<{name}>')
        value = re.sub(r' at 0x[0-9a-f]+', ' at <address>', value)
        value = REQUEST_ID.sub('<request-id>', UUID.sub('<uuid>', value))
        return TIME.sub('<time>', value)


def dig(value, path):
    for part in str(path).split('.'):
        if isinstance(value, str) and value.startswith('{'):
            value = json.loads(value)
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return value


def is_text(path):
    return path.endswith(('.faultstring', '.debuginfo', '.last_error', '.title', '.detail', '.reason',
                          '.error_message.description'))


def compare(a, b, path='', found=None):
    """Differences as (kind, text): kind is shape, value or text."""
    found = [] if found is None else found
    if type(a) is not type(b) and not (isinstance(a, (int, float)) and isinstance(b, (int, float))):
        kind = 'value' if a is None or b is None else 'shape'
        found.append((kind, f'{path}: {json.dumps(a)[:160]} / {json.dumps(b)[:160]}'))
    elif isinstance(a, dict):
        for key in sorted(set(a) | set(b)):
            if key not in a or key not in b:
                told = f' {json.dumps(a.get(key, b.get(key)))[:300]}' if key == 'error_message' else ''
                found.append(('shape', f'{path}.{key}: only in {"A" if key in a else "B"}{told}'))
            else:
                compare(a[key], b[key], f'{path}.{key}', found)
    elif isinstance(a, list):
        if len(a) != len(b):
            found.append(('shape' if not a or not b else 'value', f'{path}: {len(a)} / {len(b)} items'))
        for i, (x, y) in enumerate(zip(a, b)):
            compare(x, y, f'{path}[{i}]', found)
    elif a != b:
        kind = 'text' if is_text(path) else 'value'
        found.append((kind, f'{path}: {json.dumps(a)[:200]} / {json.dumps(b)[:200]}'))
    return found


class Accepted:
    """The differences that are meant."""

    def __init__(self, path):
        self.entries = []
        if path:
            with open(path, encoding='utf-8') as file:
                self.entries = yaml.safe_load(file)['accepted']
        for entry in self.entries:
            entry['used'] = {difference: 0 for difference in entry['differences']}
            entry['seen'] = collections.Counter()

    def explains(self, scenario, request, version, body, found):
        """Whether every difference that counts is in the list."""
        fits = [e for e in self.entries if e.get('scenario', '') in scenario and re.fullmatch(e['requests'], request)
                and re.fullmatch(e.get('version', '.*'), str(version)) and re.search(e.get('body', ''), json.dumps(body))]
        lines = [f'{kind}: {text}' for kind, text in found if kind != 'text']
        statuses = [line for line in lines if line.startswith('status: ')]
        used = []
        for line in statuses or lines:
            here = next(((e, d) for e in fits for d in e['differences'] if re.search(d, line)), None)
            if here is None:
                return False
            used.append(here)
        for entry, difference in used:
            entry['used'][difference] += 1
        for entry in {id(entry): entry for entry, _ in used}.values():
            entry['seen'][scenario, request] += 1
        return bool(used)

    def unused(self):
        """(entry, difference) of what explained nothing."""
        return [(e, d) for e in self.entries for d, used in e['used'].items() if not used]


class Routes:
    """Which routes of a table were asked, and how Ironic answered."""

    def __init__(self, path):
        self.rows = []
        if path:
            with open(path, encoding='utf-8') as file:
                for line in file.read().splitlines()[1:]:
                    method, pattern = line.split('\t')[:2]
                    if pattern != '/healthcheck':   # outside the API
                        words = re.sub(r'\\\{\w+\\\}', '[^/]+', re.escape(pattern))
                        self.rows.append({'name': f'{method} {pattern}', 'method': method, 'exact': '{' not in pattern,
                                          'path': re.compile(words), 'good': 0, 'bad': 0})
        self.rows.sort(key=lambda row: not row['exact'])

    def asked(self, method, path, status):
        path = urllib.parse.urlsplit(path).path.rstrip('/') or '/'
        row = next((r for r in self.rows if r['method'] in (method, 'ANY') and r['path'].fullmatch(path)), None)
        if row and status:
            row['good' if status < 400 else 'bad'] += 1

    def show(self):
        def named(text, rows):
            for row in rows:
                print(f"{text}: {row['name']}")
        named('never asked', [r for r in self.rows if not r['good'] + r['bad']])
        named('only refused', [r for r in self.rows if r['bad'] and not r['good']])
        named('never refused', [r for r in self.rows if r['good'] and not r['bad']])
        asked = sum(1 for r in self.rows if r['good'] and r['bad'])
        print(f'{asked} of {len(self.rows)} routes asked both well and badly')


def wait(server, step):
    """Asks until every field has the wanted value, or 15 s have passed."""
    version = step.get('v', 'latest')
    limit = time.time() + step.get('seconds', 15)
    while True:
        answer = server.send('GET', step['wait'], version)
        if all(dig(answer[2], k) == v for k, v in step['until'].items()) or answer[0] >= 400 \
                or time.time() > limit:
            return answer
        time.sleep(0.1)


def expand(scenarios, named, otherwise):
    """Yields (scenario name, step, version): one for each version, request and body that a step lists."""
    for scenario in scenarios:
        for step in scenario['steps']:
            versions = step.get('vs', [step.get('v', scenario.get('v', otherwise))])
            for version in named.get(versions, []) if isinstance(versions, str) else versions:
                for one in each(step):
                    yield scenario['name'], one, version


def each(step):
    """The step for every one of its requests and bodies, where it lists several."""
    for do in step['do'] if isinstance(step.get('do'), list) else [step.get('do')]:
        for body in step.get('bodies', [step.get('body')]):
            yield {**step, 'do': do, 'body': body} if do else step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('url_a')
    parser.add_argument('url_b')
    parser.add_argument('--scenarios', action='append', help='may be given several times; scenarios.yaml beside this program unless given')
    parser.add_argument('--accepted', help='list of differences that are meant')
    parser.add_argument('--all-used', action='store_true', help='fail when an entry of that list explained nothing')
    parser.add_argument('--routes', help='table of routes whose coverage is told')
    parser.add_argument('--only', help='only scenarios whose name contains this')
    parser.add_argument('--token-a', default=os.environ.get('TOKEN_A'))
    parser.add_argument('--token-b', default=os.environ.get('TOKEN_B'))
    parser.add_argument('--strict-text', action='store_true', help='error texts must be equal too')
    parser.add_argument('--dump', help="writes A's answers here, a JSON line for each request")
    parser.add_argument('-v', '--verbose', action='store_true', help='show every difference, not the first 4')
    args = parser.parse_args()

    scenarios, named = [], {}
    for path in args.scenarios or [os.path.join(os.path.dirname(os.path.abspath(__file__)), 'scenarios.yaml')]:
        with open(path, encoding='utf-8') as file:
            data = yaml.safe_load(file)
        named.update(data.get('versions', {}))
        scenarios += [s for s in data['scenarios'] if not args.only or args.only in s['name']]
    sides = [Server(args.url_a, args.token_a), Server(args.url_b, args.token_b)]
    accepted = Accepted(args.accepted)
    routes = Routes(args.routes)
    count = collections.Counter()
    by_scenario = collections.OrderedDict()
    dump = open(args.dump, 'w', encoding='utf-8') if args.dump else None
    for name, step, version in expand(scenarios, named, 'latest'):
        answers, plain = [], []
        for server in sides:
            if 'wait' in step:
                method, path = 'WAIT', step['wait']
                answer = wait(server, step)
            else:
                method, path = step['do'].split(None, 1)
                try:
                    answer = server.send(method, path, version, step.get('body'), step.get('raw'), step.get('headers'))
                except OSError as problem:
                    answer = (0, {}, str(problem))
            for var, where in step.get('save', {}).items():
                server.vars[var] = dig(answer[2], where)
            answers.append(answer)
        for server, (status, headers, content) in zip(sides, answers):
            heads = {k: server.plain(headers[k]).split(';')[0] for k in HEADERS if k in headers}
            content = server.plain(content)
            for where in step.get('ignore', []):   # the last part of the path: a key to leave out
                content = json.loads(json.dumps(content), object_hook=lambda d, w=where: {k: v for k, v in d.items() if k != w})
            if step.get('unordered') and isinstance(content, dict):
                content = {k: sorted(v, key=json.dumps) if isinstance(v, list) else v for k, v in content.items()}
            plain.append({'headers': heads, 'body': content})
        found = compare(*plain)
        same = answers[0][0] == answers[1][0]
        kinds = {kind for kind, _ in found}
        if not same:
            found.insert(0, ('status', f'{answers[0][0]} / {answers[1][0]}'))
        shape = same and 'shape' not in kinds
        values = shape and 'value' not in kinds
        text = values and 'text' not in kinds
        agree = text if args.strict_text else values
        meant = not agree and accepted.explains(name, f'{method} {path}', version, step.get('body'), found)
        count.update({'all': 1, 'status': same, 'shape': shape, 'values': values, 'text': text, 'agree': agree, 'meant': meant})
        routes.asked(method, path, answers[0][0])
        tally = by_scenario.setdefault(name, [0, 0])
        tally[0] += agree
        tally[1] += 1
        print(f'{"ok  " if agree else "meant" if meant else "DIFF"} [{name}] {method} {path} @{version} -> {answers[0][0]}'
              + ('' if same else f' / {answers[1][0]}'))
        if found and (args.verbose or not (agree or meant)):
            if step.get('body') is not None:
                print(f"       {json.dumps(step['body'])[:300]}")
            shown = found if args.verbose else found[:4]
            for kind, line in shown:
                print(f'       {kind}: {line}')
            if len(found) > len(shown):
                print(f'       ... {len(found) - len(shown)} more')
        if dump:
            dump.write(json.dumps({'scenario': name, 'request': f'{method} {path}', 'version': version,
                                   'request_body': step.get('body', step.get('raw')), 'status': answers[0][0],
                                   **plain[0]}) + '\n')
    print()
    for name, (good, total) in by_scenario.items():
        print(f'{good:4} of {total:4}  {name}')
    print(f"status {count['status']}, shape {count['shape']}, values {count['values']}, "
          f"values and error texts {count['text']} of {count['all']}")
    unexplained = count['all'] - count['agree'] - count['meant']
    if args.routes:
        routes.show()
    unused = accepted.unused() if args.all_used else []
    if args.accepted:
        for entry in accepted.entries:
            print(f"{sum(entry['seen'].values()):4} meant: {entry['reason']}")
            if args.verbose:
                for (scenario, request), times in sorted(entry['seen'].items()):
                    print(f'       {times:3} [{scenario}] {request}')
        for entry, difference in unused:
            print(f"explains nothing, take it out: {entry['requests']}: {difference} ({entry['reason']})")
        print(f"meant {count['meant']}, unexplained {unexplained}")
    print(f"agree {count['agree']} of {count['all']}")
    return 1 if unexplained or unused else 0


if __name__ == '__main__':
    sys.exit(main())
