# Sidekiq: sidekiq_app.rb PORT worker NAME | enqueue COUNT PATH | later COUNT
require 'sidekiq'

port, verb, *words = ARGV
URL = { url: "redis://127.0.0.1:#{port}/0" }.freeze
Sidekiq.configure_client { |config| config.redis = URL }
Sidekiq.configure_server { |config| config.redis = URL }

class Job
  include Sidekiq::Worker
  sidekiq_options queue: 'jobs', retry: 0

  def perform(path)
    raise 'told to fail' if path == 'fail'
    sleep 0.02 until File.exist?(path)
  end
end

case verb
when 'worker'
  require 'sidekiq/cli'
  cli = Sidekiq::CLI.instance
  cli.parse(['-q', 'jobs', '-c', '1', '-r', File.expand_path(__FILE__), '-e', 'production'])
  ARGV.replace([port, 'nothing'])
  cli.run
when 'enqueue'
  words[0].to_i.times { Job.perform_async(words[1]) }
when 'later'
  words[0].to_i.times { Job.perform_in(600, 'fail') }
end
