"""A stock ironic-python-agent that serves its commands, and touches no hardware: stock_agent.py PORT TOKEN ROOT.

Only where its rescue extension puts files is changed: below ROOT instead of /.
"""
import builtins
import sys

from ironic_python_agent import agent
from ironic_python_agent.extensions import rescue
from oslo_config import cfg

port, token, root = int(sys.argv[1]), sys.argv[2], sys.argv[3]
cfg.CONF([])
rescue.open = lambda path, mode: builtins.open(root + path, mode)
here = agent.Host('127.0.0.1', port)
agent.IronicPythonAgent(None, here, here, 1, 1, None, 1, 1, True, token).serve_ipa_api()
