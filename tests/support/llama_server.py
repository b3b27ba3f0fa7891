"""Serves a model with llama.cpp on a free loopback port until standard input ends. Prints the address when it is ready."""

import sys

import xllamacpp

model, window = sys.argv[1:3]
options = xllamacpp.CommonParams()
options.model.path = model
options.n_ctx = int(window)
options.hostnames = ["127.0.0.1"]
options.port = 0
options.n_parallel = 1
options.warmup = False
options.cpuparams.n_threads = 1
server = xllamacpp.Server(options)
print(server.listening_address, flush=True)
sys.stdin.read()
